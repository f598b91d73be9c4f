{{/*
What the cluster knows of the APIService; nothing, where there is no cluster to look at.
  service    that answers, as NAMESPACE/NAME; empty where there is no APIService
  here       whether that is this release's, also under an earlier fullnameOverride
  inRelease  whether Helm counts it to this release, and so deletes whatever has its name as soon as it
             is not rendered. The release's Service has this in mind: an upgrade that fails leaves it
             so, for Helm goes by the last one that did not
  ofRelease  whether it says itself that it is this release's: Helm takes it over. It may still say so
             when another one has applied its own over it
  kept       whether it says that Helm may not delete it
*/}}
{{- define "trimtab.apiService" -}}
{{- $own := list (printf "%s-external-metrics" (include "trimtab.fullname" .)) }}
{{- $is := dict "service" "" "here" false "inRelease" false "ofRelease" false "kept" false }}
{{- range (lookup "v1" "Service" .Release.Namespace "").items }}
{{- if eq (dig "labels" "app.kubernetes.io/instance" "" .metadata) $.Release.Name }}
{{- if eq (dig "labels" "app.kubernetes.io/component" "" .metadata) "external-metrics" }}
{{- $own = append $own .metadata.name }}
{{- end }}
{{- if eq (dig "annotations" "trimtab.dev/api-service" "" .metadata) "true" }}
{{- $_ := set $is "inRelease" true }}
{{- end }}
{{- with dig "annotations" "trimtab.dev/api-service-until" "" .metadata }}
{{- $revision := lookup "v1" "Secret" $.Release.Namespace (printf "sh.helm.release.v1.%s.v%s" $.Release.Name .) }}
{{- if has (dig "metadata" "labels" "status" "" $revision) (list "failed" "pending-upgrade") }}
{{- $_ := set $is "inRelease" true }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta1.external.metrics.k8s.io" }}
{{- $_ := set $is "service" "the API server itself" }}
{{- with .spec.service }}
{{- $_ := set $is "service" (printf "%s/%s" .namespace .name) }}
{{- $_ := set $is "here" (and (eq .namespace $.Release.Namespace) (has .name $own)) }}
{{- end }}
{{- $annotations := .metadata.annotations | default dict }}
{{- $release := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") }}
{{- $_ := set $is "ofRelease" (eq $release (printf "%s/%s" $.Release.Namespace $.Release.Name)) }}
{{- $_ := set $is "kept" (eq (get $annotations "helm.sh/resource-policy") "keep") }}
{{- end }}
{{- toJson $is }}
{{- end }}

{{/* `true` where the APIService is to be made. */}}
{{- define "trimtab.ownsApiService" -}}
{{- $create := toString .Values.externalMetrics.apiService.create }}
{{- if and .Values.externalMetrics.enabled (ne $create "false") }}
{{- $is := include "trimtab.apiService" . | fromJson }}
{{- $free := or (not $is.service) (and $is.here (or $is.inRelease $is.ofRelease)) }}
{{- if or (eq $create "true") $free }}true{{ end }}
{{- end }}
{{- end }}

{{/*
What Helm would do to an APIService that another one has taken over, though it counts it to this release:
delete it where it is not made, and leave it as it is where it is made, for it compares what it made
before with what it makes now.
*/}}
{{- define "trimtab.checkApiService" -}}
{{- $name := "v1beta1.external.metrics.k8s.io" }}
{{- $is := include "trimtab.apiService" . | fromJson }}
{{- if and $is.service (not $is.here) }}
{{- if include "trimtab.ownsApiService" . }}
{{- if or $is.inRelease $is.ofRelease }}
{{- fail (printf "externalMetrics.apiService.create: it is true, but %s belongs to %s now, and Helm would not change that; leave it to them by `auto`, or take it, and try again: kubectl delete apiservice %s" $name $is.service $name) }}
{{- end }}
{{- else if and (or $is.inRelease $is.ofRelease) (not $is.kept) }}
{{- fail (printf "externalMetrics.apiService: %s belongs to %s now, and Helm would delete it, because this release made one of that name; prevent that, and try again: kubectl annotate apiservice %s helm.sh/resource-policy=keep" $name $is.service $name) }}
{{- end }}
{{- end }}
{{- end }}
