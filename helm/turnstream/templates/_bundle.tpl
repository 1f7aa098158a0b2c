{{/* How bundles come into a pod, at the same path in every container. */}}

{{- define "turnstream.bundleVolumes" -}}
- name: bundles
  {{- with .Values.bundle }}
  {{- if eq .source "volume" }}
  {{- if .volume.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ .volume.existingClaim }}
  {{- else }}
  hostPath:
    path: {{ required "bundle.volume: say existingClaim or hostPath" .volume.hostPath }}
    type: Directory
  {{- end }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .sizeLimit }}
  {{- end }}
  {{- end }}
{{- if .Values.rollout.stable }}
- name: plan
  configMap:
    name: {{ include "turnstream.fullname" . }}-rollout
{{- end }}
{{- end -}}

{{/* The bundles, to be read only; the plan as a whole folder, so that its changes arrive. */}}
{{- define "turnstream.bundleMounts" -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
- name: bundles
  mountPath: {{ $paths.bundles }}
  readOnly: true
  {{- if eq .Values.bundle.source "volume" }}
  {{- with .Values.bundle.volume.subPath }}
  subPath: {{ . }}
  {{- end }}
  {{- end }}
{{- if .Values.rollout.stable }}
- name: plan
  mountPath: {{ $paths.plan }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Init containers that bring bundles; none where a volume has them. */}}
{{- define "turnstream.bundleFetchers" -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- $root := . -}}
{{- with .Values.bundle -}}
{{- if eq .source "urls" }}
{{- range $number, $url := .urls }}
- name: fetch-bundle-{{ $number }}
  image: {{ include "turnstream.image" (dict "image" $root.Values.image "default" $root.Chart.AppVersion) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [bundle, install, {{ $url | quote }}, --bundles, {{ $paths.bundles }}]
  {{- include "turnstream.fetcherRest" (dict "root" $root "mountPath" $paths.bundles) | nindent 2 }}
{{- end }}
{{- else if eq .source "command" }}
- name: fetch-bundles
  image: {{ .command.image }}
  command:
    {{- toYaml .command.command | nindent 4 }}
  {{- with .command.existingSecret }}
  envFrom:
    - secretRef:
        name: {{ . }}
  {{- end }}
  {{- include "turnstream.fetcherRest" (dict "root" $root "mountPath" $paths.bundles) | nindent 2 }}
{{- else if eq .source "image" }}
{{- range $number, $image := .images }}
- name: copy-bundle-{{ $number }}
  image: {{ $image }}
  command: [cp, -r, {{ $paths.bundles }}/., /target]
  {{- include "turnstream.fetcherRest" (dict "root" $root "mountPath" "/target") | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "turnstream.fetcherRest" -}}
env:
  - name: HOME
    value: /tmp
securityContext:
  {{- include "turnstream.containerSecurity" . | nindent 2 }}
resources:
  {{- include "turnstream.smallResources" . | nindent 2 }}
volumeMounts:
  - name: bundles
    mountPath: {{ .mountPath }}
  {{- include "turnstream.tmpMount" . | nindent 2 }}
{{- end -}}
