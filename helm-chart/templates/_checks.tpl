{{/* Values that contradict each other. */}}
{{- define "verbatim.check" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor would scrape every pod twice: enable one of them" -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.ingress.alb.enabled -}}
{{- $connection := include "verbatim.idleConnectionSeconds" . | int -}}
{{- if le $connection (int .Values.ingress.alb.idleTimeoutSeconds) -}}
{{- fail (printf "settings.server.idle_connection_seconds (%d) must be longer than ingress.alb.idleTimeoutSeconds (%d): else the load balancer sends requests into connections that the server closes" $connection (int .Values.ingress.alb.idleTimeoutSeconds)) -}}
{{- end -}}
{{- end -}}
{{- $guarded := or .Values.secrets.keys (dig "access" "oidc" "issuer" "" .Values.settings) -}}
{{- if and .Values.open $guarded -}}
{{- fail "open is true, but keys or an identity provider say who may call: leave one of them out" -}}
{{- end -}}
{{- if and .Values.secrets.metricsToken (eq (include "verbatim.metricsPort" .) "metrics") -}}
{{- fail "secrets.metricsToken guards /metrics on the server's own port, but settings.telemetry.metrics_port gives them another: leave one of them out" -}}
{{- end -}}
{{- range $type := list "existingClaim" "persistentVolume" "hostPath" "csi" -}}
{{- if and (eq $.Values.modelCache.type $type) (not (index $.Values.modelCache $type)) -}}
{{- fail (printf "modelCache.type is %s, but modelCache.%s is empty" $type $type) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.modelCache.type "csi" -}}
{{- if has .Values.modelCache.csi.driver (list "disk.csi.azure.com" "ebs.csi.aws.com" "efs.csi.aws.com" "fsx.csi.aws.com" "pd.csi.storage.gke.io" "s3.csi.aws.com") -}}
{{- fail (printf "modelCache.csi: %s mounts no inline volumes, so pods would wait for ever: use modelCache.type persistentVolume" .Values.modelCache.csi.driver) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.modelCache.type "pvc") (not (has "ReadWriteMany" (include "verbatim.accessModes" . | fromJsonArray))) (not (has "ReadOnlyMany" (include "verbatim.accessModes" . | fromJsonArray))) -}}
{{- if or (ne .Values.autoscaling.type "none") (gt (int .Values.replicas) 1) (ne .Values.strategy.type "Recreate") .Values.tiers .Values.jobs.workers.enabled -}}
{{- fail "modelCache.pvc is ReadWriteOnce, so a second pod on another node would wait for ever: name a storageClassName that offers ReadWriteMany (EFS, NFS, Filestore), or set replicas to 1 and strategy.type to Recreate, without tiers and workers" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.modelCache.pull (not (has .Values.modelCache.type (list "pvc" "existingClaim"))) -}}
{{- fail "modelCache.pull brings models into a volume that pods share: set modelCache.type to pvc or existingClaim" -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- $path := trimSuffix "/" .mountPath -}}
{{- if or (has $path (list "" "/opt" "/opt/models")) (hasPrefix "/opt/models/" $path) -}}
{{- fail (printf "extraVolumeMounts: %s would hide the models in the image: /models is for others" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- $users := list .Values.secrets .Values.jobs .Values.extraEnv .Values.extraEnvFrom .Values.extraVolumes .Values.extraContainers .Values.initContainers | toJson -}}
{{- if and .Values.externalSecret.enabled (not (contains (printf "%q" .Values.externalSecret.target) $users)) -}}
{{- fail (printf "externalSecret makes the Secret %s, of which nothing is used: name its keys under secrets, as secrets.keys {name: %s, key: ...}" .Values.externalSecret.target .Values.externalSecret.target) -}}
{{- end -}}
{{- if and .Values.gpu.claimTemplate (lt (int .Values.gpu.count) 1) -}}
{{- fail "gpu.claimTemplate: say with gpu.count how many GPUs it claims" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: of which gateway?" -}}
{{- end -}}
{{- if and (ne .Values.autoscaling.type "none") (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is below minReplicas" -}}
{{- end -}}
{{- if and (ne .Values.autoscaling.type "none") (not .Values.autoscaling.rulesElsewhere) -}}
{{- if not (and .Values.prometheusRule.enabled (include "verbatim.job" .)) -}}
{{- fail "autoscaling follows stt:replicas_wanted, which nothing would make: enable prometheusRule, and podMonitor or serviceMonitor, or say with autoscaling.rulesElsewhere that they are not of this release" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.type "hpa") .Values.podMonitor.enabled (not .Values.autoscaling.hpa.selector) -}}
{{- fail "the selector of an HPA cannot name the job of a PodMonitor, which has a slash: enable serviceMonitor instead, or give autoscaling.hpa.selector" -}}
{{- end -}}
{{- include "verbatim.checkJobs" . -}}
{{- end }}
