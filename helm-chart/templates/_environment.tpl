{{/* Variables of the server and the workers, but for those of extraEnv. */}}
{{- define "verbatim.env" -}}
{{- $key := include "verbatim.generatesKey" . }}
{{- if not (hasKey (.Values.settings.server | default dict) "host") }}
- name: VERBATIM_SERVER__HOST
  value: "0.0.0.0"
{{- end }}
{{- if .Values.open }}
- name: VERBATIM_ACCESS__OPEN
  value: "true"
{{- if not (hasKey (.Values.settings.server | default dict) "trusted_hosts") }}
# Without keys the server checks by which name it is called.
- name: VERBATIM_SERVER__TRUSTED_HOSTS
  value: {{ include "verbatim.hosts" . | quote }}
{{- end }}
{{- end }}
{{- if or $key .Values.secrets.keys }}
- name: VERBATIM_ACCESS__KEYS_FILE
  value: /etc/verbatim/keys/{{ .Values.secrets.keys.key | default "keys.yaml" }}
{{- end }}
{{- if and $key (not .Values.secrets.signingKey) }}
- name: VERBATIM_ACCESS__SIGNING_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "verbatim.fullname" . }}-key, key: signing-key}
{{- end }}
{{- if and (dig "requests" "cpu" "" .Values.resources) (not (hasKey (.Values.settings.server | default dict) "cpus")) }}
# Rounded up. A node has more, which are of other pods.
- name: VERBATIM_SERVER__CPUS
  valueFrom:
    resourceFieldRef: {containerName: verbatim, resource: requests.cpu, divisor: "1"}
{{- end }}
{{- with include "verbatim.jobs" . | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- range $variable, $value := include "verbatim.variableSecrets" . | fromJson }}
{{- with $value }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {{- toYaml . | nindent 6 }}
{{- end }}
{{- end }}
{{- if not (or (include "verbatim.pulls" .) (hasKey (.Values.settings.models | default dict) "offline")) }}
- name: VERBATIM_MODELS__OFFLINE
  value: "true"
{{- end }}
{{- include "verbatim.environment" (dict "settings" .Values.settings "prefix" "VERBATIM_") | trim | nindent 0 }}
{{- if not (hasKey (.Values.settings.server | default dict) "idle_connection_seconds") }}
{{- with include "verbatim.idleConnectionSeconds" . }}
# A connection that the load balancer still holds must not be closed here: that is a 502.
{{- include "verbatim.variable" (dict "name" "VERBATIM_SERVER__IDLE_CONNECTION_SECONDS" "value" (int .)) | nindent 0 }}
{{- end }}
{{- end }}
{{- with include "verbatim.devices" . | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- end }}

{{/* What follows from gpu.count where the settings do not say otherwise: fail without a GPU instead of
running on the CPU, and use all GPUs of the pod. */}}
{{- define "verbatim.devices" -}}
{{- $engine := .Values.settings.engine | default dict -}}
{{- $count := int .Values.gpu.count -}}
{{- if and (gt $count 0) (not (hasKey $engine "device")) }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_ENGINE__DEVICE" "value" "cuda") }}
{{- end }}
{{- if and (gt $count 1) (not (hasKey $engine "device_indexes")) }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_ENGINE__DEVICE_INDEXES" "value" (until $count)) }}
{{- end }}
{{- end }}

{{/* One environment variable: name, value. Lists and objects are JSON, as the server reads them. */}}
{{- define "verbatim.variable" -}}
- name: {{ .name }}
  value: {{ (kindIs "string" .value) | ternary .value (.value | toJson) | quote }}
{{- end }}

{{/* Settings -> environment: groups, and groups in groups. */}}
{{- define "verbatim.environment" -}}
{{- range $name, $value := .settings }}
{{- $variable := printf "%s%s" $.prefix (upper $name) }}
{{- if and (kindIs "map" $value) (not (has $variable (list "VERBATIM_MODELS__ALIASES"))) }}
{{- include "verbatim.environment" (dict "settings" $value "prefix" (printf "%s__" $variable)) }}
{{- else if not (kindIs "invalid" $value) }}
{{ include "verbatim.variable" (dict "name" $variable "value" $value) }}
{{- end }}
{{- end }}
{{- end }}
