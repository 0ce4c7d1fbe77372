{{- define "shoal.name" -}}
{{- if contains "shoal" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-shoal" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "shoal.selector" -}}
app.kubernetes.io/name: shoal
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "shoal.labels" -}}
{{ include "shoal.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "shoal.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "shoal.secret" -}}
{{ .Values.existingSecret | default (include "shoal.name" .) }}
{{- end }}

{{- define "shoal.hasPassword" -}}
{{- if or .Values.password .Values.existingSecret }}yes{{ end }}
{{- end }}

{{- /* Where the workers are, all of them by one name. */ -}}
{{- define "shoal.seed" -}}
{{ include "shoal.name" . }}-workers.{{ .Release.Namespace }}.svc:7000
{{- end }}

{{- define "shoal.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 999
  runAsGroup: 999
  fsGroup: 999
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "shoal.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* The password as the command line and the health check look for it; also where the proxy does. */ -}}
{{- define "shoal.passwordVariables" -}}
{{- if include "shoal.hasPassword" . -}}
{{- range list "SHOAL_PASSWORD" "SHOAL_PROXY_AUTH" "SHOAL_UPSTREAM_AUTH" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ include "shoal.secret" $ }}, key: password}}
{{- end }}
{{- end }}
{{- end }}

{{- define "shoal.scrape" -}}
{{- if .Values.metrics.enabled -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.metrics.port | quote }}
{{- end }}
{{- end }}

{{/* Where a pod is, as a variable. A label that the pod does not have is empty. */}}
{{- define "shoal.zone" -}}
- name: ZONE
  {{- if .Values.worker.zone }}
  value: {{ .Values.worker.zone | quote }}
  {{- else }}
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['{{ .Values.worker.zoneKey }}']"}}
  {{- end }}
{{- end }}
