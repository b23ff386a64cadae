#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Images: pulled from registries (Debian's docker-registry, and one that lies), imported from images.d, collected.

load harness

PODIUM=/usr/local/lib/podium/podium # on the node

setup_file() {
    command -v docker-registry skopeo zstd >/dev/null || skip "needs docker-registry, skopeo and zstd"
    cluster_setup 1
    STATE=$DIR/nodes/podium-1/state # /var/lib/podium of the node
    W=/var/lib/podium/registry
    export STATE W
    mkdir "$STATE/registry"
    cp "$ROOT/tests/registry/liar.py" "$IMAGE" /bin/busybox "$STATE/registry/"
    registries
    service liar /usr/bin/python3 $W/liar.py $W/port $W/busybox
    wait_until 30 test -e "$STATE/registry/port"
    LIAR=127.0.0.1:$(cat "$STATE/registry/port")
    export LIAR
    wait_until 10 on_node 1 curl -sf -o /dev/null http://127.0.0.1:5000/v2/
    push nginx:demo nginx:other
    wait_until 10 on_node 1 curl -sk -o /dev/null https://127.0.0.1:5001/v2/
    on_node 1 skopeo copy -q --dest-tls-verify=false --dest-creds=maestro:f0rtissimo "oci-archive:$W/nginx.tar" \
        docker://127.0.0.1:5001/nginx:demo
}
teardown_file() { cluster_teardown; }
teardown() { cluster_report; }

service() { on_node 1 systemd-run -q --unit "$@"; }
push() { # NAME…: on the plain registry
    for name in "$@"; do
        on_node 1 skopeo copy -q --dest-tls-verify=false "oci-archive:$W/nginx.tar" "docker://127.0.0.1:5000/$name"
    done
}

# One without any protection, one with TLS and a password.
registries() {
    local d=$STATE/registry hash
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$d/key.pem" -out "$d/cert.pem" 2>/dev/null
    # shellcheck disable=SC2016
    hash=$(perl -e 'print crypt("f0rtissimo", "\$2b\$05\$abcdefghijklmnopqrstuu")')
    echo "maestro:$hash" >"$d/htpasswd"
    cat >"$d/plain.yml" <<Y
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $W/plain}, delete: {enabled: true}}
http: {addr: "127.0.0.1:5000"}
Y
    cat >"$d/tls.yml" <<Y
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $W/tls}}
auth: {htpasswd: {realm: concert, path: $W/htpasswd}}
http: {addr: "127.0.0.1:5001", tls: {certificate: $W/cert.pem, key: $W/key.pem}}
Y
    service registry-plain docker-registry serve "$W"/plain.yml
    service registry-tls docker-registry serve "$W"/tls.yml
}

liar_log() { on_node 1 curl -s "http://$LIAR/log"; }
waiting() { pod_get "$1" ".status.containerStatuses[${3:-0}].state.waiting.$2"; }
sleeper() { # NAME IMAGE [MORE YAML OF THE SPEC]
    pod "$1" <<<"${3:-}
containers: [{name: c, image: \"$2\", command: [/bin/busybox, sleep, \"1000\"]}]"
}
refused() { # POD PATTERN: its image was not to be had, and why
    said_no() { [[ "$(waiting "$1" reason) $(waiting "$1" message)" =~ ^(ErrImagePull|ImagePullBackOff)\ .*$2 ]]; }
    wait_until 30 said_no "$1" "$2"
}
event_says() { # POD REASON PATTERN
    kube get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{range .items[*]}{.message}{"\n"}{end}' |
        grep -qE "$3"
}
node_event() { # REASON PATTERN
    kube get events -A --field-selector "involvedObject.kind=Node,reason=$1" -o jsonpath='{range .items[*]}{.message}{"\n"}{end}' |
        grep -qE "$2"
}
digest_of() { # NAME in the plain registry
    on_node 1 skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:5000/$1"
}
node_images() { on_node 1 $PODIUM image ls | awk 'NR > 1 { print $1 }'; }
nothing_half() { [ -z "$(on_node 1 find /var/lib/podium/images/tmp -mindepth 1)" ]; }

@test "a pulled image brings its user, entrypoint, environment, folder and whiteouts; events tell of it" {
    pod good <<<"containers: [{name: c, image: \"$LIAR/good:1\"}]"
    pod_ready good 30
    said() { [ "$(kube logs good)" = $'user=1000 dir=/work env=allegro\ndata=b old=0' ]; }
    wait_until 5 said
    [[ "$(kube exec good -- /bin/busybox stat -c '%a %s' /bin/su)" == "4755 2" ]]
    [[ "$(pod_get good '.status.containerStatuses[0].imageID')" == "$LIAR/good@sha256:"* ]]
    wait_until 5 event_says good Pulling "^Pulling image \"$LIAR/good:1\"\$"
    wait_until 5 event_says good Pulled \
        "^Successfully pulled image \"$LIAR/good:1\" in [0-9.]+s \([0-9.]+s including waiting\). Image size: [0-9]+ bytes.\$"
    kube logs -f good >"$T/good.log" &
    wait_until 10 grep -q user= "$T/good.log"
    pods_gone good # the image says which signal stops it
    wait $!
    grep -q stopped "$T/good.log"
    nothing_half
}

@test "zstd and plain layers, Docker's schema 2, an index: each runs" {
    {
        echo containers:
        for i in zstd plain schema2 index absolute devices xattrs; do
            echo "- {name: $i, image: \"$LIAR/$i:1\", command: [/bin/busybox, sleep, \"1000\"]}"
        done
    } | pod formats
    pod_ready formats 40
    [ "$(kube exec formats -c index -- /bin/busybox ls /data)" = b ]
    [ "$(kube exec formats -c absolute -- /bin/busybox cat /etc/absolute)" = x ]
    # device nodes of an image are left out
    [ "$(kube exec formats -c devices -- /bin/busybox sh -c 'ls /etc /dev/sda 2>/dev/null')" = $'old\npasswd' ] ||
        [[ "$(kube exec formats -c devices -- /bin/busybox ls /etc)" != *kmem* ]]
    pods_gone formats
    sleeper foreign "$LIAR/foreign:1"
    refused foreign 'no image for linux/'
    pods_gone foreign
}

@test "pull policies: what the registry is asked" {
    pod never <<<"containers: [{name: c, image: \"127.0.0.1:5000/nginx:never\", imagePullPolicy: Never}]"
    pod_wait never '.status.containerStatuses[0].state.waiting.reason=ErrImageNeverPull'
    wait_until 5 event_says never ErrImageNeverPull 'is not present with pull policy of Never'
    sleeper bad 'Not/A Name'
    pod_wait bad '.status.containerStatuses[0].state.waiting.reason=InvalidImageName'
    pods_gone never bad
    # good:1 is here: not a word to the registry
    before=$(liar_log | wc -l)
    sleeper present "$LIAR/good:1"
    pod_ready present
    [ "$(liar_log | wc -l)" -eq "$before" ]
    event_says present Pulled 'already present on machine'
    # Always: the registry is asked, and nothing is downloaded
    pod always <<<"containers: [{name: c, image: \"$LIAR/good:1\", imagePullPolicy: Always, command: [/bin/busybox, sleep, \"1000\"]}]"
    pod_ready always 20
    liar_log | tail -n "+$((before + 1))" >"$T/asked"
    grep -q manifests/1 "$T/asked"
    run ! grep -q blobs/ "$T/asked"
    pods_gone present always
    # a moved tag is noticed
    sleeper moved 127.0.0.1:5000/nginx:other
    pod_ready moved 30
    on_node 1 skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$LIAR/good:1" docker://127.0.0.1:5000/nginx:other
    pod moved2 <<<"containers: [{name: c, image: \"127.0.0.1:5000/nginx:other\", imagePullPolicy: Always}]"
    pod_ready moved2 30
    [ "$(pod_get moved2 '.status.containerStatuses[0].imageID')" = "127.0.0.1:5000/nginx@$(digest_of nginx:other)" ]
    [ "$(pod_get moved '.status.containerStatuses[0].imageID')" != "$(pod_get moved2 '.status.containerStatuses[0].imageID')" ]
    pods_gone moved moved2
}

@test "by digest; a name that others host is fetched from its mirror" {
    sleeper digest "127.0.0.1:5000/nginx@$(digest_of nginx:demo)"
    pod_ready digest 30
    sleeper forged "127.0.0.1:5000/nginx@sha256:$(printf %064d 0)"
    refused forged 'manifest unknown'
    on_node 1 sh -c 'mkdir -p /etc/podium && cat >/etc/podium/registries.conf' <<'Y'
unqualified-search-registries = []
[[registry]]
location = "concert.example"
[[registry.mirror]]
location = "127.0.0.1:5000"
insecure = true
Y
    sleeper mirrored concert.example/nginx:demo
    pod_ready mirrored 30
    pods_gone digest forged mirrored
    on_node 1 rm /etc/podium/registries.conf
}

@test "TLS by an own authority, imagePullSecrets; failures back off and heal" {
    sleeper private 127.0.0.1:5001/nginx:demo 'imagePullSecrets: [{name: wrong}, {name: right}]'
    # no authority, no certs.d: a loopback registry may do without, so it is the password that is missing
    refused private '(authentication required|unauthorized)'
    wait_until 5 event_says private FailedToRetrieveImagePullSecret '\(wrong, right\)'
    on_node 1 sh -c "mkdir -p /etc/podium/certs.d/127.0.0.1:5001; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
        -nodes -days 2 -subj /CN=other -keyout /dev/null -out /etc/podium/certs.d/127.0.0.1:5001/ca.crt 2>/dev/null"
    sleeper untrusted 127.0.0.1:5001/nginx:demo
    refused untrusted x509
    shown() { kube get pods --no-headers | grep -q "^untrusted .* ImagePullBackOff"; }
    wait_until 30 shown
    on_node 1 cp "$W/cert.pem" /etc/podium/certs.d/127.0.0.1:5001/ca.crt
    kube create secret docker-registry wrong --docker-server=https://127.0.0.1:5001/v2/ --docker-username=maestro --docker-password=p1anissimo
    kube create secret docker-registry right --docker-server=127.0.0.1:5001 --docker-username=maestro --docker-password=f0rtissimo
    wait_until 10 event_says private BackOff '^Back-off pulling image "127.0.0.1:5001/nginx:demo"$'
    pod_ready private 60
    # nobody but who asks gets it by the password of others; on disk and in arguments nothing of it
    run on_node 1 grep -rslE 'f0rtissimo|p1anissimo' /run/podium /var/lib/podium/images /var/lib/podium/agent
    [ -z "$output" ]
    pods_gone private untrusted
    kube delete secret wrong right >/dev/null
}

@test "one image for many pods is pulled once, many images at a time" {
    for i in 1 2 3 4; do sleeper "same$i" "$LIAR/many0:1"; done
    {
        echo containers:
        for i in 1 2 3 4 5; do echo "- {name: c$i, image: \"$LIAR/many$i:1\", command: [/bin/busybox, sleep, \"1000\"]}"; done
    } | pod many
    for i in 1 2 3 4; do pod_ready "same$i" 40; done
    pod_ready many 40
    [ "$(liar_log | grep -c 'GET /v2/many0/manifests/1')" -eq 1 ]
    # the layer below is here since the first test: it was never fetched again
    blobs=$(liar_log | grep -oE 'GET /v2/many[0-5]/blobs.*' | sort -u | cut -d/ -f3 | uniq -c | awk '{ print $1 }' | sort -u)
    [ "$blobs" = 2 ] # configuration and upper layer
    # an ephemeral container's image comes while the pod runs
    kube debug same1 --image="$LIAR/foreign:1" --image-pull-policy=IfNotPresent -c bad -- /bin/busybox true >/dev/null
    told() { [[ "$(pod_get same1 '.status.ephemeralContainerStatuses[0].state.waiting.message')" == *"no image for linux/"* ]]; }
    wait_until 20 told
    kube debug same2 --image="$LIAR/zstd:1" --image-pull-policy=Always -c good -- /bin/busybox true >/dev/null
    ran() { [ "$(pod_get same2 '.status.ephemeralContainerStatuses[0].state.terminated.exitCode')" = 0 ]; }
    wait_until 20 ran
    [ "$(liar_log | grep -c 'GET /v2/zstd/manifests/1')" -eq 2 ]
    pods_gone same1 same2 same3 same4 many
}

@test "lies leave nothing behind and are called by their name" {
    lie() { # REPOSITORY PATTERN
        run on_node 1 timeout -k 5 60 $PODIUM image pull --root /var/lib/podium/lies "$LIAR/$1"
        [ "$status" -eq 1 ] || { echo "$1: $output" && return 1; }
        [[ "$output" == *$2* ]] || { echo "$1: $output" && return 1; }
        [ -z "$(on_node 1 find /var/lib/podium/lies/tmp /var/lib/podium/lies/layers /var/lib/podium/lies/images -mindepth 1)" ]
    }
    lie dotdot:1 'leads out of the layer'
    lie dotdot-inside:1 'leads out of the layer'
    lie symlink:1 'cannot open the folder of out/podium-escaped'
    lie hardlink:1 'refused'
    lie hardlink-absolute:1 'not in this layer'
    lie whiteout:1 'unsafe name'
    lie deep:1 'a path of 10001 bytes'
    lie bomb:1 'grows more than'
    lie diff-id:1 'damaged or forged'
    lie layer:1 'Digest did not match'
    lie cut:1 'unexpected EOF'
    lie claims:1 'claims to have'
    lie small:1 'manifest says'
    lie endless:1 'more bytes than the manifest says'
    lie manifest:1 'premature EOF'
    lie both:1 'ambiguous document'
    lie "swapped@$(on_node 1 curl -s "http://$LIAR/v2/swapped/manifests/1" | sha256sum | sed 's/^/sha256:/; s/ .*//')" 'damaged or forged'
    lie nothing:1 'manifest unknown'
    [ ! -e "$STATE/../upper/tmp/podium-escaped" ]
    # and the user is told
    sleeper lied "$LIAR/dotdot:1"
    refused lied '"../../../../escaped" leads out of the layer'
    wait_until 5 event_says lied Failed 'leads out of the layer'
    pods_gone lied
}

@test "a pull shows how far it is; an agent killed meanwhile, or a pod deleted, leave nothing half" {
    skopeos() { on_node 1 pgrep -c skopeo || true; }
    on_node 1 $PODIUM image prune >/dev/null # no layer of it is here
    sleeper slow "$LIAR/slow:1"
    shown() { [[ "$(waiting slow message)" == *"downloading "*" of "*" MB" ]]; }
    wait_until 20 shown
    [ "$(waiting slow reason)" = ContainerCreating ]
    [ "$(skopeos)" -eq 1 ]
    pid=$(on_node 1 systemctl show -P MainPID podium-agent)
    on_node 1 kill -KILL "$pid"
    again() { [ "$(liar_log | grep -c 'GET /v2/slow/manifests/1')" -eq 2 ] && [ "$(skopeos)" -eq 1 ]; }
    wait_until 30 again
    one_half() { [ "$(on_node 1 find /var/lib/podium/images/tmp -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ]; }
    wait_until 10 one_half # the second pull's; that of the first went with its agent
    pods_gone slow
    ended() { [ "$(skopeos)" -eq 0 ]; }
    wait_until 5 ended
    wait_until 5 nothing_half
}

@test "archives in images.d are imported as they appear, once; a broken one is told, once" {
    cp "$IMAGE" "$STATE/images.d/.coming" # a copy that takes its time
    on_node 1 skopeo copy -q "oci-archive:$W/nginx.tar" "docker-archive:/var/lib/podium/registry/docker.tar:choir:1"
    mv "$STATE/images.d/.coming" "$STATE/images.d/soloist.tar"
    gzip -1 <"$STATE/registry/docker.tar" >"$STATE/images.d/choir.tar.gz"
    head -c 100000 "$IMAGE" >"$STATE/images.d/broken.tar"
    wait_until 20 node_event ImageImported 'Imported 1 image from /var/lib/podium/images.d/soloist.tar'
    wait_until 20 node_event ImageImported 'choir.tar.gz'
    wait_until 20 node_event ImageImportFailed 'Cannot import /var/lib/podium/images.d/broken.tar: '
    pod choir <<<'containers: [{name: c, image: "choir:1", imagePullPolicy: Never, command: [busybox, sleep, "1000"]}]'
    pod_ready choir
    rm "$STATE/images.d/broken.tar"
    on_node 1 systemctl restart podium-agent
    cp "$IMAGE" "$STATE/images.d/last.tar"
    wait_until 20 node_event ImageImported last.tar
    [ "$(on_node 1 journalctl -q --no-pager -u podium-agent | grep -c 'Imported 1 image from .*choir')" -eq 1 ]
    [ "$(on_node 1 journalctl -q --no-pager -u podium-agent | grep -c 'Cannot import')" -eq 1 ]
    pods_gone choir
}

@test "a full disk: unused images go, the used and those of images.d stay; the Node tells what is here" {
    sleeper user "$LIAR/good:1"
    pod_ready user 30
    on_node 1 $PODIUM image pull -q "$LIAR/many1:1" >/dev/null
    on_node 1 sh -c 'printf "[Agent]\nImageGcHigh=1\nImageGcLow=0\nImageGcMinAge=0\n" >/etc/podium/podium.conf'
    on_node 1 systemctl restart podium-agent
    has_image() { kube get node podium-1 -o jsonpath='{.status.images[*].names}' | grep -q "$1"; }
    wait_until 20 has_image "$LIAR/many1:1"
    [ "$(kube get node podium-1 -o jsonpath='{.status.images[0].sizeBytes}')" -gt 1000 ]
    sleeper trigger "$LIAR/many2:1" # a pull makes the agent look at the disk
    wait_until 20 not has_image "$LIAR/many1:1"
    node_images >"$T/left"
    grep -q "/good:1" "$T/left"
    grep -q "choir:1" "$T/left"
    run ! grep -q "many1" "$T/left"
    wait_until 10 node_event FreeDiskSpaceFailed 'Failed to garbage collect required amount of images. Attempted to free [0-9]+ bytes'
    kube exec user -- /bin/busybox true
    pods_gone user trigger
    on_node 1 rm /etc/podium/podium.conf
    on_node 1 systemctl restart podium-agent
}
