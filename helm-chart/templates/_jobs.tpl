{{/* Whether the pods take or run jobs: the servers and the workers do, tiers with models of their own
do not. */}}
{{- define "verbatim.hasJobs" -}}
{{- if and .Values.jobs.enabled (or (not .Part) (include "verbatim.isWorker" .)) -}}true{{- end -}}
{{- end }}

{{/* Where recordings and results lie. */}}
{{- define "verbatim.jobsObjects" -}}
{{- if include "verbatim.hasJobs" . -}}
{{- .Values.jobs.objects | default "file:///jobs/objects" -}}
{{- end -}}
{{- end }}

{{/* Whether /jobs is a volume: of recordings and results, and of the database if there is no other. */}}
{{- define "verbatim.jobsVolume" -}}
{{- if and (include "verbatim.hasJobs" .) (or (not .Values.jobs.objects) (not .Values.secrets.jobsDatabase)) -}}true{{- end -}}
{{- end }}

{{/* Variables of the servers and workers about jobs. */}}
{{- define "verbatim.jobs" -}}
{{- if include "verbatim.hasJobs" . }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_JOBS__ENABLED" "value" true) }}
{{- $role := .Values.jobs.workers.enabled | ternary "api" "all" }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_JOBS__ROLE" "value" (include "verbatim.isWorker" . | empty | ternary $role "worker")) }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_JOBS__OBJECTS" "value" (include "verbatim.jobsObjects" .)) }}
{{- if include "verbatim.jobsVolume" . }}
{{ include "verbatim.variable" (dict "name" "VERBATIM_JOBS__DIRECTORY" "value" "/jobs") }}
{{- end }}
{{- end }}
{{- end }}

{{/* Contradictions of jobs. */}}
{{- define "verbatim.checkJobs" -}}
{{- $jobs := .Values.jobs -}}
{{- $alone := and (eq .Values.autoscaling.type "none") (le (int .Values.replicas) 1) (eq .Values.strategy.type "Recreate") (not $jobs.workers.enabled) -}}
{{- if and $jobs.enabled (not .Values.secrets.jobsDatabase) (not $alone) -}}
{{- fail "jobs: pods share one PostgreSQL, so name its URL in secrets.jobsDatabase; a single pod brings its own, with replicas: 1, strategy.type: Recreate and no workers" -}}
{{- end -}}
{{- if and $jobs.enabled (not $jobs.objects) (not $jobs.volume.existingClaim) (not $jobs.volume.storageClassName) (not $alone) -}}
{{- fail "jobs: pods share recordings and results, so name a store in jobs.objects, or in jobs.volume a claim or a storageClassName of ReadWriteMany" -}}
{{- end -}}
{{- if and $jobs.workers.enabled (not $jobs.enabled) -}}
{{- fail "jobs.workers is enabled, but jobs is not" -}}
{{- end -}}
{{- $scaling := $jobs.workers.autoscaling -}}
{{- if and $scaling.enabled (lt (int $scaling.maxReplicas) (max 1 (int $scaling.minReplicas) | int)) -}}
{{- fail "jobs.workers.autoscaling.maxReplicas is below minReplicas, or 0" -}}
{{- end -}}
{{- $signed := or .Values.secrets.signingKey (include "verbatim.generatesKey" .) -}}
{{- if and $jobs.enabled .Values.secrets.jobsDatabase (not $signed) -}}
{{- fail "jobs: pods encrypt callers' webhooks and headers with the same key, so name one in secrets.signingKey" -}}
{{- end -}}
{{- end }}
