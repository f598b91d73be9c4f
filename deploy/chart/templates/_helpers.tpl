{{- define "trimtab.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Beginning of the names of all objects; 40 characters leave room for what comes behind. A release may
have dots in its name and begin with a digit; a Service may not.
*/}}
{{- define "trimtab.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "trimtab.name" .) }}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if contains (include "trimtab.name" .) .Release.Name }}
{{- $name = .Release.Name }}
{{- end }}
{{- if regexMatch "^[0-9]" $name }}
{{- $name = printf "%s-%s" .Chart.Name $name }}
{{- end }}
{{- regexReplaceAll "-+$" ($name | replace "." "-" | trunc 40) "" }}
{{- end }}

{{/* Names are quoted by toYaml, where YAML reads something else: `y`, `123`, `1e3`. */}}
{{- define "trimtab.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trimtab.name" . | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "trimtab.labels" -}}
{{ include "trimtab.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
The Lease that makes one of the replicas decide. It has the release's name, where the program's own
default would be one for all releases of the namespace.
*/}}
{{- define "trimtab.lease" -}}
{{- $name := include "trimtab.fullname" . }}
{{- with dig "controllerInstance" "" .Values.config }}
{{- $name = printf "%s-%s" $name . }}
{{- end }}
{{- dig "leaderElection" "leaseName" "" .Values.config | default $name }}
{{- end }}

{{/* The replica that decides labels itself with the Lease: whoever scales asks it alone. */}}
{{- define "trimtab.leaderLabels" -}}
{{ include "trimtab.selectorLabels" . }}
trimtab.dev/leader: {{ include "trimtab.lease" . | quote }}
{{- end }}

{{- define "trimtab.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "trimtab.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "trimtab.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "trimtab.servingSecret" -}}
{{ include "trimtab.fullname" . }}-serving
{{- end }}

{{/* Where the Lease and what is remembered are. */}}
{{- define "trimtab.stateNamespace" -}}
{{- dig "leaderElection" "namespace" "" .Values.config | default .Release.Namespace }}
{{- end }}

{{/* What cannot be, told before anything is installed. */}}
{{- define "trimtab.check" -}}
{{- range $key := list "listen" "namespaces" "externalMetrics" "externalScaler" }}
{{- if hasKey $.Values.config $key }}
{{- fail (printf "config.%s: the chart sets it itself; see watchNamespaces, externalMetrics and externalScaler" $key) }}
{{- end }}
{{- end }}
{{- with .Values.config.policies }}
{{- if hasKey . "directory" }}
{{- fail "config.policies.directory: the chart sets it itself; see policies.directory.volume" }}
{{- end }}
{{- if hasKey (.oci | default dict) "publicKeyFile" }}
{{- fail "config.policies.oci.publicKeyFile: the chart sets it itself; see policies.publicKey" }}
{{- end }}
{{- if hasKey (.oci | default dict) "caFile" }}
{{- fail "config.policies.oci.caFile: the chart sets it itself; see policies.tls.secretName" }}
{{- end }}
{{- end }}
{{- if gt (len .Values.policies.directory.volume) 1 }}
{{- fail (printf "policies.directory.volume: a volume has one source, not %s" (keys .Values.policies.directory.volume | sortAlpha | join " and ")) }}
{{- end }}
{{- with .Values.policies.publicKey }}
{{- if not (hasPrefix "-----BEGIN PUBLIC KEY-----" (trim .)) }}
{{- fail "policies.publicKey: it is no PEM that begins with -----BEGIN PUBLIC KEY-----; give what is in cosign.pub, e.g. --set-file policies.publicKey=cosign.pub" }}
{{- end }}
{{- end }}
{{- if not (or (dig "prometheus" "url" "" .Values.config) .Values.extraEnv) }}
{{- fail "config.prometheus.url: nothing is given; expected the address of Prometheus, e.g. --set config.prometheus.url=http://prometheus-operated.monitoring.svc:9090" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not (dig "leaderElection" "enabled" true .Values.config)) }}
{{- fail "replicas: several need config.leaderElection.enabled" }}
{{- end }}
{{- $lease := include "trimtab.lease" . }}
{{- if gt (len $lease) 63 }}
{{- fail (printf "config.leaderElection.leaseName: `%s` is longer than the 63 characters of a label, by which Services find who leads" $lease) }}
{{- end }}
{{- if regexMatch "[^-.a-z0-9]" $lease }}
{{- fail (printf "config.leaderElection.leaseName: the Lease of this controllerInstance would be `%s`, which is no name; give it one of lower-case letters, digits and `-`" $lease) }}
{{- end }}
{{- if and .Values.externalMetrics.enabled (ne (include "trimtab.stateNamespace" .) .Release.Namespace) }}
{{- fail "config.leaderElection.namespace: external metrics need it to be the release's own namespace; leave it out, or set externalMetrics.enabled=false" }}
{{- end }}
{{- if not .Values.rbac.clusterWide }}
{{- if not .Values.watchNamespaces }}
{{- fail "rbac.clusterWide: false needs watchNamespaces" }}
{{- end }}
{{- if and .Values.rbac.create (not .Values.rbac.clusterScoped) .Values.externalMetrics.enabled }}
{{- fail "rbac.clusterScoped: external metrics need rights that no namespace can have; allow them, or set externalMetrics.enabled=false" }}
{{- end }}
{{- end }}
{{- with .Values.externalMetrics }}
{{- if and .enabled .tls.secretName (not .apiService.caBundle) (not .apiService.annotations) (ne (toString .apiService.create) "false") }}
{{- fail "externalMetrics.tls.secretName: nobody vouches for it; give apiService.caBundle, or annotations by which it is injected" }}
{{- end }}
{{- end }}
{{- with .Values.externalScaler.tls }}
{{- if and .requireClientCertificate (not .secretName) }}
{{- fail "externalScaler.tls.requireClientCertificate: needs externalScaler.tls.secretName" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor, podMonitor: one of the two, or everything is scraped twice" }}
{{- end }}
{{- end }}

{{/* What the values say of policies, as the configuration file has it. */}}
{{- define "trimtab.policies" -}}
{{- $oci := dict }}
{{- with .Values.policies }}
{{- if .directory.volume }}
directory: /etc/trimtab-policies
{{- end }}
{{- if .publicKey }}
{{- $_ := set $oci "publicKeyFile" "/etc/trimtab/cosign.pub" }}
{{- end }}
{{- if .tls.secretName }}
{{- $_ := set $oci "caFile" "/etc/trimtab-registries/ca.crt" }}
{{- end }}
{{- end }}
{{- with $oci }}
oci:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The configuration file. */}}
{{- define "trimtab.config" -}}
{{- include "trimtab.check" . }}
{{- $listen := dict "metrics" ":8080" "health" ":8081" "externalMetrics" "0" "externalScaler" "0" }}
{{- $config := deepCopy .Values.config }}
{{- if not (dig "prometheus" "url" "" $config) }}
{{- $_ := set $config "prometheus" (omit ($config.prometheus | default dict) "url") }}
{{- end }}
{{- if .Values.watchNamespaces }}
{{- $_ := set $config "namespaces" .Values.watchNamespaces }}
{{- end }}
{{- if .Values.externalMetrics.enabled }}
{{- $_ := set $listen "externalMetrics" ":6443" }}
{{- $ours := dict "service" (printf "%s-external-metrics" (include "trimtab.fullname" .)) }}
{{- if .Values.externalMetrics.tls.secretName }}
{{- $_ := set $ours "certFile" "/etc/trimtab-external-metrics/tls.crt" }}
{{- $_ := set $ours "keyFile" "/etc/trimtab-external-metrics/tls.key" }}
{{- else }}
{{- $_ := set $ours "secret" (include "trimtab.servingSecret" .) }}
{{- end }}
{{- $_ := set $config "externalMetrics" $ours }}
{{- end }}
{{- if .Values.externalScaler.enabled }}
{{- $_ := set $listen "externalScaler" ":50051" }}
{{- with .Values.externalScaler.tls }}
{{- if .secretName }}
{{- $ours := dict "certFile" "/etc/trimtab-external-scaler/tls.crt" "keyFile" "/etc/trimtab-external-scaler/tls.key" }}
{{- if .requireClientCertificate }}
{{- $_ := set $ours "clientCaFile" "/etc/trimtab-external-scaler/ca.crt" }}
{{- end }}
{{- $_ := set $config "externalScaler" $ours }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.rbac.manageHpaTolerance }}
{{- $_ := set $config "manageHpaTolerance" true }}
{{- end }}
{{- if not .Values.rbac.directScaling }}
{{- $_ := set $config "scaleFromZero" (merge (dict "enabled" false) ($config.scaleFromZero | default dict)) }}
{{- end }}
{{- with include "trimtab.policies" . | fromYaml }}
{{- $_ := set $config "policies" (merge . ($config.policies | default dict)) }}
{{- end }}
{{- $_ := set $config "listen" $listen }}
{{- /* Services choose by it, so nothing weaker than this file may name another. */}}
{{- $_ := set $config "leaderElection" (merge (dict "leaseName" (include "trimtab.lease" .)) ($config.leaderElection | default dict)) }}
{{- toYaml $config }}
{{- end }}

{{/* What of it needs a restart, and the key beside it: the program reads the rest again while it runs. */}}
{{- define "trimtab.restartingConfig" -}}
{{- $config := include "trimtab.config" . | fromYaml }}
{{- $config = omit $config "objective" "pools" "scaleToZero" "budgetPerHour" "mode" "actuation" }}
{{- range $role := list "analyzer" "optimizer" }}
{{- with dig "policies" $role "" $config }}
{{- $_ := unset . "settings" }}
{{- end }}
{{- end }}
{{- with $config.logging }}
{{- $_ := unset . "level" }}
{{- end }}
{{- toYaml $config }}
{{- with .Values.policies.publicKey }}
{{ . }}
{{- end }}
{{- end }}
