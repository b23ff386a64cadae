#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Service accounts: the tokens pods get, what they are good for, and for how long.

load harness

setup_file() {
    cluster_setup 1
    API=$(awk '/server:/ {print $2}' "$KUBECONFIG")
    export API
}
teardown_file() { cluster_teardown; }
setup() { cd "$T" || return 1; }
teardown() { cluster_report; }

SA=/var/run/secrets/kubernetes.io/serviceaccount

claims() { # the middle part of the token on standard input
    cut -d. -f2 | tr -- -_ +/ | sed 's/$/===/' | base64 -d 2>/dev/null
}
field() { jq -r "$1"; }
bearer() { # TOKEN PATH [CURL OPTIONS]: sets STATUS and BODY
    local token=$1 path=$2
    shift 2
    BODY=$(curl -sS --max-time 20 --cacert "$DIR/ca.crt" -H "Authorization: Bearer $token" -w '\n%{http_code}' "$@" "$API$path")
    STATUS=${BODY##*$'\n'}
    BODY=${BODY%$'\n'*}
}
# the address of the API as pods know it, from the node
from_node() { # TOKEN PATH: as bearer, at the address of the service kubernetes
    local out
    out=$(on_node 1 curl -sS --max-time 20 --cacert /tmp/ca.crt -H "Authorization: Bearer $1" -w '\n%{http_code}' "$2")
    STATUS=${out##*$'\n'}
}

ca_setup() {
    [ -e "$DIR/ca.crt" ] || kube get configmap kube-root-ca.crt -o jsonpath='{.data.ca\.crt}' >"$DIR/ca.crt"
}

sleeper() { # NAME [SERVICE ACCOUNT]
    pod "$1" <<<"
serviceAccountName: ${2:-default}
containers: [{name: c, image: nginx:demo, command: [sleep, '1000']}]"
    pod_ready "$1"
}

@test "every namespace has its account and authority; kube-root-ca.crt is kept right" {
    ca_setup
    grep -q 'BEGIN CERTIFICATE' "$DIR/ca.crt"
    kube create namespace other >/dev/null
    there() { kube get serviceaccount/default configmap/kube-root-ca.crt -n other >/dev/null 2>&1; }
    wait_until 15 there
    kube patch configmap kube-root-ca.crt -n other -p '{"data":{"ca.crt":"wrong","more":"x"}}' >/dev/null
    right() { [ "$(kube get configmap kube-root-ca.crt -n other -o jsonpath='{.data}' | tr -d '\n')" = "$(kube get configmap kube-root-ca.crt -o jsonpath='{.data}' | tr -d '\n')" ]; }
    wait_until 15 right
    kube delete configmap kube-root-ca.crt -n other >/dev/null
    wait_until 15 right
}

@test "a pod finds token, authority and namespace, in init containers, too; the token speaks for its account, as RBAC allows" {
    ca_setup
    kube create serviceaccount reader >/dev/null
    pod inside <<<"
serviceAccountName: reader
initContainers: [{name: i, image: nginx:demo, command: [sh, -c, 'test -s $SA/token && test -s $SA/ca.crt']}]
containers: [{name: c, image: nginx:demo, command: [sleep, '1000']}]"
    pod_ready inside
    [ "$(kube exec inside -- cat $SA/namespace)" = default ]
    [ "$(kube exec inside -- cat $SA/ca.crt)" = "$(cat "$DIR/ca.crt")" ]
    run ! kube exec inside -- touch $SA/x
    token=$(kube exec inside -- cat $SA/token)
    [ "$(claims <<<"$token" | field .sub)" = system:serviceaccount:default:reader ]
    [ "$(claims <<<"$token" | field '."kubernetes.io".pod.name')" = inside ]
    [ "$(claims <<<"$token" | field '."kubernetes.io".node.name')" = podium-1 ]
    [ "$(claims <<<"$token" | field '."kubernetes.io".warnafter - .iat')" = 3607 ]
    bearer "$token" /api/v1/namespaces/default/configmaps
    [ "$STATUS" = 403 ]
    [[ $BODY == *'User \"system:serviceaccount:default:reader\" cannot list resource \"configmaps\"'* ]]
    kube create role reading --verb=get,list --resource=configmaps >/dev/null
    kube create rolebinding reading --role=reading --serviceaccount=default:reader >/dev/null
    bearer "$token" /api/v1/namespaces/default/configmaps
    [ "$STATUS" = 200 ]
    bearer "$token" /api/v1/namespaces/other/configmaps
    [ "$STATUS" = 403 ]
    [ "$(kube --token="$token" --kubeconfig=/dev/null --server="$API" --certificate-authority="$DIR/ca.crt" auth whoami -o jsonpath='{.status.userInfo.username}')" = system:serviceaccount:default:reader ]
    kube auth can-i list configmaps --as=system:serviceaccount:default:reader -q
    run ! kube auth can-i delete configmaps --as=system:serviceaccount:default:reader -q
    # as the pod itself would: the variables say where the API is
    [[ $(kube exec inside -- sh -c 'echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT') == *.*.*.1:443 ]]
    pods_gone inside
    # the pod is gone: its token is worth nothing
    bearer "$token" /api/v1/namespaces/default/configmaps
    [ "$STATUS" = 401 ]
}

@test "a pod made together with its namespace starts as soon as account and authority are there" {
    kube apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"fresh"}},
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"fresh"},"spec":{"terminationGracePeriodSeconds":0,
            "containers":[{"name":"c","image":"nginx:demo","command":["sleep","1000"]}]}}]}'
    kube wait pod/p -n fresh --for=condition=Ready --timeout=20s >/dev/null
    [ "$(kube exec -n fresh p -- cat $SA/token | claims | field .sub)" = system:serviceaccount:fresh:default ]
    kube exec -n fresh p -- test -s $SA/ca.crt
    kube delete namespace fresh --timeout=30s >/dev/null
}

@test "the API answers pods' tokens at the address of the service kubernetes" {
    ca_setup
    kube get service kubernetes >/dev/null || skip "no service kubernetes yet"
    on_node 1 tee /tmp/ca.crt <"$DIR/ca.crt" >/dev/null
    sleeper caller
    token=$(kube exec caller -- cat $SA/token)
    host=$(kube exec caller -- sh -c 'echo $KUBERNETES_SERVICE_HOST')
    from_node "$token" "https://$host/version"
    [ "$STATUS" = 200 ]
    from_node "$token" "https://$host/api/v1/nodes"
    [ "$STATUS" = 403 ]
    pods_gone caller
}

@test "kubectl create token: duration, audience, bound objects; limits; a token of a deleted account" {
    ca_setup
    kube create serviceaccount robot >/dev/null
    token=$(kube create token robot --duration=15m)
    [ "$(claims <<<"$token" | field '.exp - .iat')" = 900 ]
    [ "$(claims <<<"$token" | field '.aud[0]')" = https://kubernetes.default.svc.cluster.local ]
    bearer "$token" /version
    [ "$STATUS" = 200 ]
    bearer "$token" /apis
    [ "$STATUS" = 200 ]
    elsewhere=$(kube create token robot --audience=vault)
    bearer "$elsewhere" /apis
    [ "$STATUS" = 401 ]
    bearer "${token%.*}.$(tr A-Za-z B-ZAb-za <<<"${token##*.}")" /apis
    [ "$STATUS" = 401 ]
    run kube create token robot --duration=5m
    [ "$status" -ne 0 ]
    [[ $output == *"may not specify a duration less than 10 minutes"* ]]
    run kube create token nobody
    [ "$status" -ne 0 ]
    [[ $output == *'serviceaccounts "nobody" not found'* ]]
    kube create secret generic tie >/dev/null
    tied=$(kube create token robot --bound-object-kind=Secret --bound-object-name=tie)
    bearer "$tied" /apis
    [ "$STATUS" = 200 ]
    kube delete secret tie >/dev/null
    bearer "$tied" /apis
    [ "$STATUS" = 401 ]
    kube delete serviceaccount robot >/dev/null
    bearer "$token" /apis
    [ "$STATUS" = 401 ]
}

@test "TokenReview and OpenID discovery: others can check tokens, too" {
    ca_setup
    token=$(kube create token default --audience=vault)
    review() { # AUDIENCE
        kube create -o json -f - <<<"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":\"$token\",\"audiences\":[\"$1\"]}}"
    }
    [ "$(review vault | jq -c '[.status.authenticated, .status.user.username, .status.audiences]')" = '[true,"system:serviceaccount:default:default",["vault"]]' ]
    [ "$(review other | jq -c '[.status.authenticated, .status.error != ""]')" = '[null,true]' ]
    token=$(kube create token default)
    bearer "$token" /.well-known/openid-configuration
    [ "$(jq -r .issuer <<<"$BODY")" = https://kubernetes.default.svc.cluster.local ]
    [[ $(jq -r .jwks_uri <<<"$BODY") == */openid/v1/jwks ]]
    bearer "$token" /openid/v1/jwks
    [ "$(jq -r '.keys[0].kid' <<<"$BODY")" = "$(cut -d. -f1 <<<"$token" | tr -- -_ +/ | sed 's/$/===/' | base64 -d 2>/dev/null | jq -r .kid)" ]
    [ "$(kube get --raw /openid/v1/jwks | jq -r '.keys[0].alg')" = ES256 ]
}

@test "a Secret of type service-account-token is filled, and goes with its account" {
    ca_setup
    kube create serviceaccount old >/dev/null
    kube create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"old-token","annotations":{"kubernetes.io/service-account.name":"old"}},"type":"kubernetes.io/service-account-token"}'
    filled() { [ -n "$(kube get secret old-token -o jsonpath='{.data.token}')" ]; }
    wait_until 15 filled
    token=$(kube get secret old-token -o jsonpath='{.data.token}' | base64 -d)
    [ "$(kube get secret old-token -o jsonpath='{.data.ca\.crt}' | base64 -d)" = "$(cat "$DIR/ca.crt")" ]
    [ "$(kube get secret old-token -o jsonpath='{.data.namespace}' | base64 -d)" = default ]
    bearer "$token" /apis
    [ "$STATUS" = 200 ]
    kube delete serviceaccount old >/dev/null
    kube wait secret/old-token --for=delete --timeout=30s >/dev/null
    bearer "$token" /apis
    [ "$STATUS" = 401 ]
}

@test "automountServiceAccountToken of account and pod; pull secrets of the account; an account that is missing" {
    kube create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"quiet"},"automountServiceAccountToken":false,"imagePullSecrets":[{"name":"pull"}]}'
    sleeper quiet quiet
    run ! kube exec quiet -- test -e $SA
    [ "$(pod_get quiet '.spec.imagePullSecrets[0].name')" = pull ]
    pod loud <<<'
serviceAccountName: quiet
automountServiceAccountToken: true
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_ready loud
    kube exec loud -- test -s $SA/token
    run pod nobody <<<'
serviceAccountName: nobody
containers: [{name: c, image: nginx:demo}]'
    [ "$status" -ne 0 ]
    [[ $output == *'pods "nobody" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'* ]]
    pods_gone quiet loud
}

@test "a projected token for another audience; refused once its account is gone" {
    kube create serviceaccount short >/dev/null
    pod projected <<<'
serviceAccountName: short
automountServiceAccountToken: false
securityContext: {runAsUser: 1000}
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: t, mountPath: /t}]}]
volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: vault, audience: vault, expirationSeconds: 600}}]}}]'
    pod_ready projected
    token=$(kube exec projected -- cat /t/vault)
    [ "$(claims <<<"$token" | jq -c '[.aud, .exp - .iat]')" = '[["vault"],600]' ]
    [ "$(kube exec projected -- busybox stat -L -c '%u %a' /t/vault)" = '1000 600' ]
    kube delete serviceaccount short >/dev/null
    run pod late <<<'
serviceAccountName: short
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    [ "$status" -ne 0 ]
    pods_gone projected
}

@test "service variables: of the namespace's services; not with enableServiceLinks false" {
    kube create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Service","metadata":{"name":"my-db"},"spec":{"ports":[{"name":"sql","port":5432},{"name":"web","port":80}]}}'
    ip=$(kube get service my-db -o jsonpath='{.spec.clusterIP}')
    sleeper linked
    [ "$(kube exec linked -- sh -c 'echo $MY_DB_SERVICE_HOST $MY_DB_SERVICE_PORT $MY_DB_SERVICE_PORT_WEB $MY_DB_PORT $MY_DB_PORT_80_TCP_ADDR')" = "$ip 5432 80 tcp://$ip:5432 $ip" ]
    pod unlinked <<<'
enableServiceLinks: false
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"]}]'
    pod_ready unlinked
    [ "$(kube exec unlinked -- sh -c 'echo "${MY_DB_SERVICE_HOST-none} ${KUBERNETES_SERVICE_PORT_HTTPS}"')" = 'none 443' ]
    pods_gone linked unlinked
    kube delete service my-db >/dev/null
}

@test "an agent that starts again asks anew; pods keep their token meanwhile" {
    sleeper stays
    before=$(kube exec stays -- cat $SA/token)
    on_node 1 systemctl restart podium-agent
    kube wait node/podium-1 --for=condition=Ready --timeout=20s >/dev/null
    renewed() { [ "$(kube exec stays -- cat $SA/token)" != "$before" ]; }
    wait_until 20 renewed
    [ "$(kube exec stays -- sh -c "cat $SA/namespace; test -s $SA/ca.crt")" = default ]
    pods_gone stays
}
