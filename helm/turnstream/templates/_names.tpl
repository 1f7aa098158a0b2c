{{/* Names, labels, images. Components are `nlu`, `model-server`, `kafka` and so on. */}}

{{- define "turnstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" NAME) */}}
{{- define "turnstream.componentName" -}}
{{ include "turnstream.fullname" .root }}-{{ .component }}
{{- end -}}

{{- define "turnstream.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "turnstream.labels" -}}
{{ include "turnstream.selectorLabels" . }}
app.kubernetes.io/part-of: turnstream
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{/* Name, namespace and labels of an object: (dict "root" $ "component" NAME), "suffix" optional. */}}
{{- define "turnstream.metadata" -}}
name: {{ include "turnstream.componentName" . }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "turnstream.labels" . | nindent 2 }}
{{- end -}}

{{/* (dict "image" VALUES "default" TAG) */}}
{{- define "turnstream.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .default .image.tag }}
{{- end -}}
{{- end -}}

{{/* A value as text: whole numbers without an exponent. */}}
{{- define "turnstream.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/* `host:port` of a component inside the cluster: (dict "root" $ "component" NAME "port" PORT) */}}
{{- define "turnstream.host" -}}
{{ include "turnstream.componentName" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}
