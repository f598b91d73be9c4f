{{/* What is read and written where the variants are. */}}
{{- define "trimtab.rulesOfNamespaces" -}}
# Who asks for scaling: variants, and HPAs and ScaledObjects that are annotated.
- apiGroups: [llmd.ai]
  resources: [variantautoscalings]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
# What is told of a variant: the count that is asked for, and why.
- apiGroups: [llmd.ai]
  resources: [variantautoscalings/status]
  verbs: [patch]
# What is scaled, and the way from a pod up to it.
- apiGroups: [apps]
  resources: [deployments, statefulsets, replicasets]
  verbs: [list, watch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [list, watch]
# Which variants make up a pool, and its endpoint picker.
- apiGroups: [inference.networking.k8s.io, inference.networking.x-k8s.io]
  resources: [inferencepools]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services, pods]
  verbs: [list, watch]
# What pools are decided with, and what is told of it.
- apiGroups: [trimtab.dev]
  resources: [scalingpolicies, poolpolicies]
  verbs: [list, watch]
- apiGroups: [trimtab.dev]
  resources: [scalingpolicies/status, poolpolicies/status]
  verbs: [patch]
# Which GPUs pods hold, where they ask for them as devices.
- apiGroups: [resource.k8s.io]
  resources: [resourceclaims, resourceclaimtemplates]
  verbs: [list, watch]
# Settings that users of WVA have, and policies: those that ScalingPolicies name are watched one by one,
# which takes `list` and `watch` in single namespaces, too.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
# What happened, told of the objects that it happened to.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- with .Values.rbac }}
{{- if .directScaling }}
# Scaling without an HPA or KEDA: from zero at once, and pools that nobody else scales.
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, update]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets/scale]
  verbs: [get, update]
{{- end }}
{{- range .extraScaleTargets }}
# Another kind of target.
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson .resources }}
  verbs: [list, watch]
{{- if $.Values.rbac.directScaling }}
- apiGroups: {{ toJson .apiGroups }}
  resources:
    {{- range .resources }}
    - {{ . }}/scale
    {{- end }}
  verbs: [get, update]
{{- end }}
{{- end }}
{{- if .manageHpaTolerance }}
# Tolerances of HPAs that read wva_desired_replicas: a tenth is too much for a count.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [patch]
{{- end }}
{{- end }}
{{- end }}

{{/* What no namespace can have. */}}
{{- define "trimtab.rulesOfCluster" -}}
# Where another kind of target keeps its count.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get]
# Which namespaces are left alone.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
# Which accelerators nodes have; and where all pods are seen, how many are free.
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
- apiGroups: [resource.k8s.io]
  resources: [resourceslices]
  verbs: [list, watch]
{{- with .Values.externalMetrics }}
{{- if .enabled }}
# Whose token it is that asks for external metrics, and whether they may.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
# Who owns external metrics; with a certificate of its own, also to vouch for it.
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  resourceNames: [v1beta1.external.metrics.k8s.io]
  verbs: [get{{ if not .tls.secretName }}, patch{{ end }}]
{{- end }}
{{- end }}
{{- end }}

{{/* Where the Lease and what is remembered are. */}}
{{- define "trimtab.rulesOfState" -}}
# Which replica decides.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
# What is remembered over a restart. Names of new objects cannot be given.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, update, delete]
{{- end }}

{{/* Where the pods are. */}}
{{- define "trimtab.rulesOfOwn" -}}
# The replica that decides labels itself trimtab.dev/leader, takes the label from any other, and its
# Services choose it.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
{{- if and .Values.externalMetrics.enabled (not .Values.externalMetrics.tls.secretName) }}
# The certificate that it makes for external metrics.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "trimtab.servingSecret" . }}]
  verbs: [get, update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end }}
{{- end }}

{{/* Where registries' credentials are: a list of names. */}}
{{- define "trimtab.rulesOfPullSecrets" -}}
# By which policies are pulled.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ uniq . | toJson }}
  verbs: [get]
{{- end }}

{{/* The subject of every binding. */}}
{{- define "trimtab.subjects" -}}
- kind: ServiceAccount
  name: {{ include "trimtab.serviceAccount" . | toYaml }}
  namespace: {{ .Release.Namespace | toYaml }}
{{- end }}

{{/* A Role and its binding: a list of the chart's root, the namespace, the name and the rules. */}}
{{- define "trimtab.role" -}}
{{- $root := index . 0 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ index . 2 | toYaml }}
  namespace: {{ index . 1 | toYaml }}
  labels:
    {{- include "trimtab.labels" $root | nindent 4 }}
rules:
  {{- index . 3 | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ index . 2 | toYaml }}
  namespace: {{ index . 1 | toYaml }}
  labels:
    {{- include "trimtab.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ index . 2 | toYaml }}
subjects:
  {{- include "trimtab.subjects" $root | nindent 2 }}
{{- end }}
