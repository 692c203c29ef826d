{{- define "verbatim.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "verbatim.fullname" -}}
{{- $name := include "verbatim.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Where everything lies: Helm's namespace, or another one. */}}
{{- define "verbatim.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{- define "verbatim.selectorLabels" -}}
app.kubernetes.io/name: {{ include "verbatim.name" . }}{{ include "verbatim.suffix" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "verbatim.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "verbatim.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "verbatim.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "verbatim.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "verbatim.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (ternary "-cuda" "" (gt (int .Values.gpu.count) 0))) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end }}

{{/* Whether callers must show a key that the chart makes: nothing else says who may call. */}}
{{- define "verbatim.generatesKey" -}}
{{- if not (or .Values.open .Values.secrets.keys (dig "access" "oidc" "issuer" "" .Values.settings)) -}}true{{- end -}}
{{- end }}

{{/* The name under which Prometheus knows the pods: by the operator's rules, of the PodMonitor or the
Service. Empty where something else scrapes them. */}}
{{- define "verbatim.job" -}}
{{- if .Values.podMonitor.enabled -}}
{{- printf "%s/%s" (include "verbatim.namespace" .) (include "verbatim.part" .) -}}
{{- else if .Values.serviceMonitor.enabled -}}
{{- include "verbatim.part" . -}}
{{- end -}}
{{- end }}

{{/* What alerts and dashboards find Kubernetes' objects by, in place of `.*verbatim.*`. */}}
{{- define "verbatim.pattern" -}}
{{- $name := include "verbatim.fullname" . -}}
{{- contains "verbatim" $name | ternary ".*verbatim.*" (printf ".*(verbatim|%s).*" $name) -}}
{{- end }}

{{/* How often a claim that the chart makes can be mounted. */}}
{{- define "verbatim.accessModes" -}}
{{- $pvc := .Values.modelCache.pvc -}}
{{- $pvc.accessModes | default (list (empty $pvc.storageClassName | ternary "ReadWriteOnce" "ReadWriteMany")) | toJson -}}
{{- end }}

{{/* The port of /metrics: its own where the settings name one. */}}
{{- define "verbatim.metricsPort" -}}
{{- $telemetry := .Values.settings.telemetry | default dict -}}
{{- if hasKey $telemetry "metrics_port" -}}metrics{{- else -}}http{{- end -}}
{{- end }}

{{/* settings.server.port or 8000. */}}
{{- define "verbatim.port" -}}
{{- dig "server" "port" 8000 .Values.settings | int -}}
{{- end }}

{{/* How long the server keeps an idle connection: behind an ALB a minute longer than that does. Empty: as
the server has it. */}}
{{- define "verbatim.idleConnectionSeconds" -}}
{{- $alb := and .Values.ingress.enabled .Values.ingress.alb.enabled -}}
{{- dig "server" "idle_connection_seconds" ($alb | ternary (add (int .Values.ingress.alb.idleTimeoutSeconds) 60) "") .Values.settings -}}
{{- end }}

{{/* HTTP, or HTTPS with a certificate in the settings. */}}
{{- define "verbatim.scheme" -}}
{{- if dig "server" "tls_certificate_file" "" .Values.settings -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end }}

{{/* How metrics are reached: a port of their own speaks plain HTTP. */}}
{{- define "verbatim.metricsEndpoint" -}}
- port: {{ include "verbatim.metricsPort" . }}
  path: /metrics
{{- if and (eq (include "verbatim.metricsPort" .) "http") (eq (include "verbatim.scheme" .) "HTTPS") }}
  scheme: https
  # The certificate is for the name by which callers call, not for a pod's address.
  tlsConfig: {insecureSkipVerify: true}
{{- end }}
{{- with .Values.secrets.metricsToken }}
  authorization:
    credentials: {{- toYaml . | nindent 6 }}
{{- end }}
{{- end }}

{{/* How long a pod may take to go: the preStop drain, uvicorn's own after SIGTERM, and a margin. A worker
has no callers: it takes no more jobs after SIGTERM, and gives back those that have not ended in 10 s. A
process that hangs ends itself 20 s after settings.server.drain_seconds. */}}
{{- define "verbatim.gracePeriod" -}}
{{- if include "verbatim.isWorker" . -}}
{{- add (dig "server" "drain_seconds" 300 .Values.settings | int) 25 -}}
{{- else -}}
{{- $least := add (int .Values.drain.seconds) (dig "server" "drain_seconds" 300 .Values.settings | int) 15 -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if and $given (lt (int $given) (int $least)) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: with drain.seconds and settings.server.drain_seconds it must be at least %d" (int $given) (int $least)) -}}
{{- end -}}
{{- $given | default $least | int -}}
{{- end -}}
{{- end }}

{{/* Whether pods may pull models. */}}
{{- define "verbatim.pulls" -}}
{{- $volume := and (ne .Values.modelCache.type "none") (not .Values.modelCache.readOnly) -}}
{{- if not (dig "models" "offline" (not $volume) .Values.settings) -}}true{{- end -}}
{{- end }}

{{/* The port of a URL, or that of its scheme. */}}
{{- define "verbatim.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end }}

{{/* TCP ports that the settings need, as JSON: of models, the identity provider, Redis, traces. */}}
{{- define "verbatim.egressPorts" -}}
{{- $ports := list -}}
{{- if or (include "verbatim.pulls" .) .Values.initContainers -}}{{- $ports = append $ports 443 -}}{{- end -}}
{{- if .Values.secrets.limitStore -}}{{- $ports = append $ports 6379 -}}{{- end -}}
{{- if include "verbatim.hasJobs" . -}}
{{- /* Of the store, and of webhooks. */ -}}
{{- $ports = append $ports 443 -}}
{{- if .Values.secrets.jobsDatabase -}}{{- $ports = append $ports 5432 -}}{{- end -}}
{{- end -}}
{{- $issuer := dig "access" "oidc" "issuer" "" .Values.settings -}}
{{- $traces := dig "telemetry" "otlp_endpoint" "" .Values.settings -}}
{{- range compact (list $issuer $traces) -}}
{{- with include "verbatim.urlPort" . -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end }}

{{/* The claim of models that the chart makes. A PersistentVolume cannot be changed, so another one, with
its claim, is made for whatever changes in it. */}}
{{- define "verbatim.modelsClaim" -}}
{{- $cache := .Values.modelCache -}}
{{- $digest := list $cache.persistentVolume $cache.readOnly $cache.pvc.size | toJson | sha256sum | trunc 8 -}}
{{- printf "%s-models%s" (include "verbatim.fullname" .) (eq $cache.type "persistentVolume" | ternary (print "-" $digest) "") -}}
{{- end }}

{{/* The volume of models, if there is one. */}}
{{- define "verbatim.models" -}}
{{- $cache := .Values.modelCache -}}
{{- if ne $cache.type "none" -}}
- name: models
{{- if eq $cache.type "emptyDir" }}
  emptyDir:
    sizeLimit: {{ $cache.sizeLimit }}
{{- else if has $cache.type (list "pvc" "persistentVolume") }}
  persistentVolumeClaim:
    claimName: {{ include "verbatim.modelsClaim" . }}
{{- else if eq $cache.type "existingClaim" }}
  persistentVolumeClaim:
    claimName: {{ $cache.existingClaim }}
{{- else if eq $cache.type "hostPath" }}
  hostPath:
    path: {{ $cache.hostPath }}
    type: {{ $cache.readOnly | ternary "Directory" "DirectoryOrCreate" }}
{{- else if eq $cache.type "csi" }}
  csi: {{- toYaml $cache.csi | nindent 4 }}
{{- end }}
{{- end -}}
{{- end }}

{{- /* The names of the service, the ingress and the route, as JSON; any name where these take any. */ -}}
{{- define "verbatim.hosts" -}}
{{- $service := printf "%s.%s" (include "verbatim.part" .) (include "verbatim.namespace" .) }}
{{- $hosts := list $service (printf "%s.svc" $service) (printf "%s.svc.cluster.local" $service) }}
{{- if .Values.ingress.enabled }}
{{- $hosts = concat $hosts (.Values.ingress.hosts | default (list "*")) }}
{{- end }}
{{- if .Values.httpRoute.enabled }}
{{- $hosts = concat $hosts (.Values.httpRoute.hostnames | default (list "*")) }}
{{- end }}
{{- if eq .Values.service.type "LoadBalancer" }}
{{- $hosts = append $hosts "*" }}
{{- end }}
{{- $hosts | uniq | toJson }}
{{- end }}

{{/* The Secrets whose values a pod reads once, at its start, by variable. */}}
{{- define "verbatim.variableSecrets" -}}
{{- dict "VERBATIM_ACCESS__SIGNING_KEY" .Values.secrets.signingKey "VERBATIM_ACCESS__OIDC__CLIENT_SECRET" .Values.secrets.clientSecret "VERBATIM_LIMITS__STORE" .Values.secrets.limitStore "VERBATIM_JOBS__DATABASE" (include "verbatim.hasJobs" . | empty | ternary dict .Values.secrets.jobsDatabase) "VERBATIM_TELEMETRY__METRICS_TOKEN" .Values.secrets.metricsToken "HF_TOKEN" .Values.secrets.hubToken | toJson -}}
{{- end }}

{{/* A digest of these values as they are in the cluster, so that an upgrade rolls out what was rotated;
empty where there is no cluster to ask. */}}
{{- define "verbatim.secretsDigest" -}}
{{- $values := list -}}
{{- range $variable, $secret := include "verbatim.variableSecrets" . | fromJson -}}
{{- if $secret -}}
{{- $values = append $values (dig "data" $secret.key "" (lookup "v1" "Secret" (include "verbatim.namespace" $) $secret.name)) -}}
{{- end -}}
{{- end -}}
{{- if compact $values -}}{{- $values | toJson | sha256sum -}}{{- end -}}
{{- end }}

{{/* How many pods the Deployment asks for; empty: what a scaler has set stays, also when Helm goes back to
an older release. Helm would take `replicas` out of a Deployment that once had them from a release, and
Kubernetes would make it 1: such a one gets those that it has. The others carry an annotation. */}}
{{- define "verbatim.replicas" -}}
{{- $scaled := include "verbatim.isWorker" . | empty | ternary (ne .Values.autoscaling.type "none") .Values.jobs.workers.autoscaling.enabled -}}
{{- if not $scaled -}}
{{- .Values.replicas -}}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" (include "verbatim.namespace" .) (include "verbatim.part" .) -}}
{{- if ne (dig "metadata" "annotations" "verbatim/replicas" "" $live) "scaler" -}}
{{- dig "spec" "replicas" "" $live -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "verbatim.tolerations" -}}
{{- if or .Values.tolerations (gt (int .Values.gpu.count) 0) }}
tolerations:
  {{- if gt (int .Values.gpu.count) 0 }}
  - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  {{- end }}
  {{- with .Values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where a pod may run, and from where its image comes: of the server, and of what holds room for it. */}}
{{- define "verbatim.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "verbatim.tolerations" . }}
{{- with .Values.gpu.claimTemplate }}
resourceClaims:
  - {name: gpu, resourceClaimTemplateName: {{ . }}}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How a pod finds other machines: of the server, and of what pulls its models. */}}
{{- define "verbatim.names" -}}
{{- with .Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the server's container asks for: the values and the GPUs. */}}
{{- define "verbatim.resources" -}}
{{- $resources := deepCopy .Values.resources }}
{{- if .Values.gpu.claimTemplate }}
{{- $_ := set $resources "claims" (list (dict "name" "gpu")) }}
{{- else if gt (int .Values.gpu.count) 0 }}
{{- $_ := set $resources "limits" (set ($resources.limits | default dict) .Values.gpu.resource (int .Values.gpu.count)) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}
