{{/* Of which part of the release a template is rendered: empty for the servers, `worker`, or the name
of a tier. Parts share Secrets, claims and the service account. */}}
{{- define "verbatim.suffix" -}}
{{- with .Part -}}-{{ . }}{{- end -}}
{{- end }}

{{/* The name of a part's own objects. */}}
{{- define "verbatim.part" -}}
{{- $suffix := include "verbatim.suffix" . -}}
{{- printf "%s%s" (include "verbatim.fullname" . | trunc (int (sub 63 (len $suffix))) | trimSuffix "-") $suffix -}}
{{- end }}

{{- define "verbatim.isWorker" -}}
{{- if eq (.Part | default "") "worker" -}}true{{- end -}}
{{- end }}

{{/* The template `template` of every part of the release `root`, as documents. A part sees the values of
the release with its own laid over them. */}}
{{- define "verbatim.each" -}}
{{- $values := .root.Values -}}
{{- $parts := list (dict "name" "" "values" dict) -}}
{{- range $name, $tier := $values.tiers -}}
{{- $hosts := $tier.hosts | default list -}}
{{- $own := dict "ingress" (dict "hosts" $hosts) "httpRoute" (dict "hostnames" $hosts "enabled" (and $values.httpRoute.enabled (not (empty $hosts)))) -}}
{{- $parts = append $parts (dict "name" $name "values" (merge $own (deepCopy (omit $tier "hosts")))) -}}
{{- end -}}
{{- $workers := $values.jobs.workers -}}
{{- if and $values.jobs.enabled $workers.enabled -}}
{{- $own := dict "replicas" $workers.replicas "autoscaling" (dict "type" "none") "placeholder" (dict "replicas" 0) "httpRoute" (dict "enabled" false) -}}
{{- $parts = append $parts (dict "name" "worker" "values" (merge $own (deepCopy $workers.overrides))) -}}
{{- end -}}
{{- range $parts }}
{{- $part := dict "Part" .name "Values" (mergeOverwrite (deepCopy $values) .values) "Chart" $.root.Chart "Release" $.root.Release "Capabilities" $.root.Capabilities "Files" $.root.Files "Template" $.root.Template }}
{{- with include $.template $part | trim }}
---
{{ . }}
{{- end }}
{{- end }}
{{- end }}
