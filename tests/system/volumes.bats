#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Volumes as pods see them: what is projected into them and how it changes, parts of them, their modes and limits.

load harness

# Volumes on disk are measured every ten seconds: these are, while other tests run.
setup_file() {
    cluster_setup 1
    pod disk <<<'
restartPolicy: Never
containers:
- {name: c, image: nginx:demo, command: [sh, -c, "dd if=/dev/zero of=/d/f bs=1M count=3 2>/dev/null; exec sleep 1000"], volumeMounts: [{name: d, mountPath: /d}]}
volumes: [{name: d, emptyDir: {sizeLimit: 2Mi}}]'
    pod modest <<<'
containers:
- {name: c, image: nginx:demo, command: [sh, -c, "dd if=/dev/zero of=/d/f bs=1M count=1 2>/dev/null; exec sleep 1000"], volumeMounts: [{name: d, mountPath: /d}]}
volumes: [{name: d, emptyDir: {sizeLimit: 2Mi}}]'
}
teardown_file() { cluster_teardown; }
setup() { cd "$T" || return 1; }
teardown() { cluster_report; }

says() { # POD COMMAND EXPECTED: for wait_until
    [ "$(kube exec "$1" -- sh -c "$2")" = "$3" ]
}

@test "downward API files: fields, maps, resources with a divisor; labels and annotations follow" {
    pod down 'annotations: {b: "2", a: "1\"x"}' <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  resources: {limits: {memory: 64Mi, cpu: 250m}}
  volumeMounts: [{name: d, mountPath: /d}]
volumes:
- name: d
  downwardAPI:
    defaultMode: 0440
    items:
    - {path: name, fieldRef: {fieldPath: metadata.name}}
    - {path: labels, fieldRef: {fieldPath: metadata.labels}}
    - {path: one, fieldRef: {fieldPath: "metadata.labels['"'test'"']"}, mode: 0400}
    - {path: sub/annotations, fieldRef: {fieldPath: metadata.annotations}}
    - {path: memory, resourceFieldRef: {containerName: c, resource: limits.memory, divisor: 1Mi}}
    - {path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}'
    pod_ready down
    [ "$(kube exec down -- sh -c 'for f in name one memory cpu; do cat /d/$f; echo; done')" = $'down\ndown\n64\n250' ]
    [ "$(kube exec down -- cat /d/labels)" = 'test="down"' ]
    [ "$(kube exec down -- cat /d/sub/annotations)" = $'a="1\\"x"\nb="2"' ]
    [ "$(kube exec down -- busybox stat -L -c %a /d/name /d/one)" = $'440\n400' ]
    kube label pod down added=yes >/dev/null
    kube annotate pod down b=3 --overwrite >/dev/null
    wait_until 15 says down 'cat /d/labels' $'added="yes"\ntest="down"'
    wait_until 15 says down 'tail -n 1 /d/sub/annotations' 'b="3"'
    pods_gone down
}

@test "projected: sources side by side, items and modes, optional ones; a key that goes is gone" {
    kube create configmap pcm --from-literal=a=1 --from-literal=b=2 >/dev/null
    kube create secret generic psec --from-literal=s=hidden >/dev/null
    kube create configmap pbin --from-file=bin=<(printf '\001\000\377') >/dev/null
    pod proj <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: p, mountPath: /p}]}]
volumes:
- name: p
  projected:
    defaultMode: 0444
    sources:
    - configMap: {name: pcm}
    - configMap: {name: pbin}
    - secret: {name: psec, items: [{key: s, path: deep/er/s, mode: 0400}]}
    - downwardAPI: {items: [{path: ns, fieldRef: {fieldPath: metadata.namespace}}]}
    - configMap: {name: later, optional: true}
    - secret: {name: psec, optional: true, items: [{key: none, path: none}]}'
    pod_ready proj
    [ "$(kube exec proj -- sh -c 'cat /p/a /p/b /p/deep/er/s /p/ns')" = 12hiddendefault ]
    [ "$(kube exec proj -- busybox od -An -tx1 /p/bin)" = ' 01 00 ff' ]
    [ "$(kube exec proj -- busybox stat -L -c %a /p/a /p/deep/er/s)" = $'444\n400' ]
    run ! kube exec proj -- test -e /p/none
    before=$(kube exec proj -- busybox readlink /p/..data)
    kube create configmap later --from-literal=late=here >/dev/null
    wait_until 15 says proj 'cat /p/late' here
    [ "$(kube exec proj -- busybox readlink /p/..data)" != "$before" ]
    kube patch configmap pcm --type=json -p '[{"op":"remove","path":"/data/b"},{"op":"replace","path":"/data/a","value":"9"}]' >/dev/null
    wait_until 15 says proj 'ls /p | tr "\n" " "; cat /p/a' 'a bin deep late ns 9'
    kube delete configmap later >/dev/null
    wait_until 15 says proj 'ls /p | tr "\n" " "' 'a bin deep ns '
    # one that is not optional: what is there stays
    kube delete configmap pcm >/dev/null
    kube create configmap later --from-literal=x=y >/dev/null
    [ "$(kube exec proj -- cat /p/a)" = 9 ]
    pods_gone proj
}

@test "projected: unsupported sources and paths are refused with their reason; an object that is missing is waited for" {
    pod waits <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: p, mountPath: /p}]}]
volumes: [{name: p, projected: {sources: [{configMap: {name: to-come, items: [{key: k, path: f}]}}]}}]'
    wait_until 15 has_event Pod waits FailedMount
    kube get events --field-selector involvedObject.name=waits -o jsonpath='{.items[*].message}' | grep 'configmap "to-come" not found'
    kube create configmap to-come --from-literal=k=v >/dev/null
    pod_ready waits
    [ "$(kube exec waits -- cat /p/f)" = v ]
    pods_gone waits
    pod bundle <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: p, mountPath: /p}]}]
volumes: [{name: p, projected: {sources: [{clusterTrustBundle: {name: b, path: f}}]}}]'
    wait_until 15 has_event Pod bundle FailedMount
    kube get events --field-selector involvedObject.name=bundle -o jsonpath='{.items[*].message}' | grep clusterTrustBundle
    pods_gone bundle
    run pod evil <<<'
containers: [{name: c, image: nginx:demo}]
volumes: [{name: p, projected: {sources: [{configMap: {name: x, items: [{key: k, path: ../../etc/passwd}]}}]}}]'
    [ "$status" -ne 0 ]
    [[ $output == *"must not contain '..'"* ]]
}

@test "subPath and subPathExpr: on disk, in memory, of a ConfigMap; made when missing, and at each start" {
    kube create configmap scm --from-literal=key=one >/dev/null
    pod sub <<<'
initContainers:
- name: i
  image: nginx:demo
  command: [sh, -c, "echo file >/v/file; mkdir /m/made; echo mem >/m/made/f"]
  volumeMounts: [{name: v, mountPath: /v}, {name: m, mountPath: /m}]
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
  volumeMounts:
  - {name: v, mountPath: /file, subPath: file}
  - {name: v, mountPath: /new, subPath: a/new}
  - {name: v, mountPath: /expr, subPathExpr: logs/$(POD)}
  - {name: m, mountPath: /mem, subPath: made}
  - {name: m, mountPath: /memnew, subPath: other}
  - {name: s, mountPath: /key, subPath: key}
  - {name: v, mountPath: /all}
volumes: [{name: v, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}, {name: s, configMap: {name: scm}}]'
    pod_ready sub
    [ "$(kube exec sub -- cat /file /mem/f /key)" = $'file\nmem\none' ]
    kube exec sub -- sh -c 'echo hi >/expr/log; echo x >/memnew/x; echo n >/new/n'
    [ "$(kube exec sub -- cat /all/logs/sub/log /all/a/new/n)" = $'hi\nn' ]
    [ "$(kube exec sub -- busybox stat -c %a /new)" = "$(kube exec sub -- busybox stat -c %a /all)" ]
    [ "$(kube exec sub -- busybox stat -f -c %T /memnew)" = tmpfs ]
    # as upstream: a mounted part of a ConfigMap stays what it was
    kube patch configmap scm -p '{"data":{"key":"two"}}' >/dev/null
    kube create configmap marker --from-literal=m=1 >/dev/null
    [ "$(kube exec sub -- cat /key)" = one ]
    pods_gone sub
}

@test "subPath does not lead out of its volume: links point inside, whoever made them" {
    pod lead <<<'
initContainers:
- name: i
  image: nginx:demo
  command: [sh, -c, "ln -s / /v/root; ln -s /etc/shadow /v/shadow; ln -s ../../../../../../etc /v/up; ln -s /dir /v/abs; mkdir /v/dir; echo in >/v/dir/f"]
  volumeMounts: [{name: v, mountPath: /v}]
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  volumeMounts:
  - {name: v, mountPath: /r, subPath: root}
  - {name: v, mountPath: /u, subPath: up}
  - {name: v, mountPath: /s, subPath: shadow}
  - {name: v, mountPath: /a, subPath: abs}
volumes: [{name: v, emptyDir: {}}]'
    pod_ready lead
    [ "$(kube exec lead -- cat /a/f /r/dir/f)" = $'in\nin' ]
    run ! kube exec lead -- test -e /u/passwd
    [ "$(kube exec lead -- busybox stat -c %F /s)" = directory ]
    pods_gone lead
    run pod dots <<<'
containers: [{name: c, image: nginx:demo, volumeMounts: [{name: v, mountPath: /v, subPath: ../../etc}]}]
volumes: [{name: v, emptyDir: {}}]'
    [ "$status" -ne 0 ]
    [[ $output == *"must not contain '..'"* ]]
}

@test "fsGroup: folders and files are the group's, on disk, in memory and from the API" {
    kube create secret generic gsec --from-literal=k=v >/dev/null
    pod grouped <<<'
securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  volumeMounts: [{name: v, mountPath: /v}, {name: m, mountPath: /m}, {name: s, mountPath: /s}]
volumes: [{name: v, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}, {name: s, secret: {secretName: gsec, defaultMode: 0400}}]'
    pod_ready grouped
    [ "$(kube exec grouped -- busybox stat -c '%g %a' /v /m)" = $'2000 2777\n2000 2777' ]
    [ "$(kube exec grouped -- busybox stat -L -c '%u %g %a' /s/k)" = '0 2000 440' ]
    kube exec grouped -- sh -c 'cat /s/k; touch /v/x /m/x'
    [ "$(kube exec grouped -- busybox stat -c '%u %g' /v/x /m/x)" = $'1000 2000\n1000 2000' ]
    [ "$(kube exec grouped -- busybox stat -L -c '%u %g %a' /var/run/secrets/kubernetes.io/serviceaccount/token)" = '1000 2000 640' ]
    pods_gone grouped
}

@test "emptyDir: in memory its size is the limit; on disk whoever is over it is evicted, with the reason" {
    pod mem <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: m, mountPath: /m}]}]
volumes: [{name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]'
    pod_ready mem
    run kube exec mem -- busybox dd if=/dev/zero of=/m/f bs=1M count=2
    [[ $output == *"No space left"* ]]
    pod_wait disk .status.phase=Failed 60
    [ "$(pod_get disk .status.reason)" = Evicted ]
    [ "$(pod_get disk .status.message)" = 'Usage of EmptyDir volume "d" exceeds the limit "2Mi". ' ]
    wait_until 15 has_event Pod disk Evicted
    [ "$(pod_get modest .status.phase)" = Running ]
    pods_gone mem disk modest
    pod huge <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeMounts: [{name: h, mountPath: /h}]}]
volumes: [{name: h, emptyDir: {medium: HugePages}}]'
    wait_until 15 has_event Pod huge FailedMount
    kube get events --field-selector involvedObject.name=huge -o jsonpath='{.items[*].message}' | grep 'medium "HugePages" is not supported'
    pods_gone huge
}

@test "hostPath by type: folders, files, sockets, devices; what is something else is refused" {
    on_node 1 mkdir -p /run/hp
    on_node 1 sh -c 'echo host >/run/hp/file'
    pod types <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  securityContext: {privileged: true}
  volumeMounts:
  - {name: dir, mountPath: /dir}
  - {name: new, mountPath: /new}
  - {name: file, mountPath: /file}
  - {name: newfile, mountPath: /newfile}
  - {name: sock, mountPath: /sock}
  - {name: char, mountPath: /char}
volumes:
- {name: dir, hostPath: {path: /run/hp, type: Directory}}
- {name: new, hostPath: {path: /run/hp/new, type: DirectoryOrCreate}}
- {name: file, hostPath: {path: /run/hp/file, type: File}}
- {name: newfile, hostPath: {path: /run/hp/newfile, type: FileOrCreate}}
- {name: sock, hostPath: {path: /run/dbus/system_bus_socket, type: Socket}}
- {name: char, hostPath: {path: /dev/null, type: CharDevice}}'
    pod_ready types
    [ "$(kube exec types -- cat /dir/file /file)" = $'host\nhost' ]
    kube exec types -- sh -c 'test -d /new && test -f /newfile && test -S /sock && test -c /char'
    pods_gone types
    for case in 'Directory:/run/hp/file:is not a directory' 'File:/run/hp:is not a file' 'Socket:/run/hp/file:is not a socket file' \
        'CharDevice:/run/hp/file:is not a character device' 'BlockDevice:/dev/null:is not a block device'; do
        IFS=: read -r type path words <<<"$case"
        pod "wrong-${type,,}" <<<"
containers: [{name: c, image: nginx:demo, command: [sleep, '1000'], volumeMounts: [{name: v, mountPath: /v}]}]
volumes: [{name: v, hostPath: {path: $path, type: $type}}]"
        wait_until 15 has_event Pod "wrong-${type,,}" FailedMount
        kube get events --field-selector "involvedObject.name=wrong-${type,,}" -o jsonpath='{.items[*].message}' |
            grep "hostPath type check failed: $path $words"
    done
    pods_gone wrong-directory wrong-file wrong-socket wrong-chardevice wrong-blockdevice
}

@test "read-only recursively, mount propagation from the host" {
    # on a host systemd shares all mounts; in a container, as here, it does not
    on_node 1 sh -c 'mkdir -p /run/rec && mount -t tmpfs none /run/rec && mount --make-shared /run/rec &&
        mkdir /run/rec/inner && mount -t tmpfs none /run/rec/inner'
    pod rec <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  volumeMounts:
  - {name: v, mountPath: /ro, readOnly: true}
  - {name: v, mountPath: /rro, readOnly: true, recursiveReadOnly: Enabled}
  - {name: v, mountPath: /slave, mountPropagation: HostToContainer}
  - {name: v, mountPath: /private}
volumes: [{name: v, hostPath: {path: /run/rec, type: Directory}}]'
    pod_ready rec
    run ! kube exec rec -- touch /ro/x
    kube exec rec -- touch /ro/inner/x
    run ! kube exec rec -- touch /rro/inner/y
    on_node 1 sh -c 'mkdir -p /run/rec/late && mount -t tmpfs none /run/rec/late && touch /run/rec/late/arrived'
    wait_until 10 kube exec rec -- test -e /slave/late/arrived
    run ! kube exec rec -- test -e /private/late/arrived
    pods_gone rec
    pod both <<<'
containers:
- name: c
  image: nginx:demo
  command: [sleep, "1000"]
  securityContext: {privileged: true}
  volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]
volumes: [{name: v, hostPath: {path: /run/rec, type: Directory}}]'
    pod_ready both
    kube exec both -- sh -c 'busybox mkdir -p /v/mine && busybox mount -t tmpfs none /v/mine && echo up >/v/mine/f'
    [ "$(on_node 1 cat /run/rec/mine/f)" = up ]
    pods_gone both
    on_node 1 sh -c 'umount /run/rec/mine && umount -R /run/rec'
    run pod both <<<'
containers: [{name: c, image: nginx:demo, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]
volumes: [{name: v, hostPath: {path: /run/rec}}]'
    [ "$status" -ne 0 ]
    [[ $output == *"Bidirectional mount propagation is available only to privileged containers"* ]]
}

@test "immutable ConfigMaps and Secrets cannot be changed; volumeDevices and claims are refused clearly" {
    kube create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fixed"},"data":{"a":"1"},"immutable":true}'
    run kube patch configmap fixed -p '{"data":{"a":"2"}}'
    [ "$status" -ne 0 ]
    [[ $output == *"field is immutable when"* ]]
    run kube patch configmap fixed -p '{"immutable":false}'
    [ "$status" -ne 0 ]
    pod claims <<<'
containers: [{name: c, image: nginx:demo, command: [sleep, "1000"], volumeDevices: [{name: v, devicePath: /dev/x}]}]
volumes: [{name: v, persistentVolumeClaim: {claimName: x}}]'
    wait_until 15 has_event Pod claims FailedMount
    pods_gone claims
}

@test "a large emptyDir does not hold up the node when its pod goes" {
    pod many <<<'
containers: [{name: c, image: nginx:demo, command: [sh, -c, "mkdir /v/d; i=0; while [ $i -lt 5000 ]; do : >/v/d/$i; i=$((i+1)); done; echo ready; exec sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}]
volumes: [{name: v, emptyDir: {}}]'
    filled() { [ "$(kube logs many 2>/dev/null)" = ready ]; }
    wait_until 60 filled
    uid=$(pod_get many .metadata.uid)
    pods_gone many
    run ! on_node 1 test -e "/var/lib/podium/pods/$uid"
    emptied() { [ -z "$(on_node 1 ls /var/lib/podium/trash)" ]; }
    wait_until 60 emptied
}
