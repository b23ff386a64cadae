/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry of verbs and what `podium help` says about each. */
#include "orchestrator/cli/verbs/verbs.h"

#define LOOK    "Looking"
#define CHANGE  "Changing"
#define INSIDE  "Inside pods"
#define CLUSTER "The cluster"
#define OTHER   "Other"

const struct verb cli_verbs[] = {
    {"get", LOOK, "show objects as table, YAML, JSON, names or by a template",
     "get KIND[,KIND…] [NAME…] [flags]\nget KIND/NAME… [flags]\nget all",
     "  podium get pods -o wide               the pods of the namespace and where they run\n"
     "  podium get pods -A -w                 every pod, and each change as it happens\n"
     "  podium get deploy,rs -l app=web       two kinds, chosen by label\n"
     "  podium get pod/web-1 -o yaml          one object, whole\n"
     "  podium get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'\n",
     flags_get, cli_verb_get},
    {"describe", LOOK, "tell all about objects, with what happened to them",
     "describe KIND [NAME…] | KIND/NAME… [-l LABELS]", NULL, flags_describe, cli_verb_describe},
    {"wait", LOOK, "return when a condition holds, or objects have come or gone",
     "wait KIND/NAME… --for=WHAT [--timeout=30s]\nwait KIND -l LABELS --for=WHAT",
     "  podium wait pod/web-1 --for=condition=Ready\n"
     "  podium wait deploy/web --for='jsonpath={.status.readyReplicas}=3' --timeout=1m\n"
     "  podium wait pod -l app=web --for=delete\n",
     flags_wait, cli_verb_wait},
    {"apply", CHANGE, "make objects what files say; leave alone what others set", "apply -f FILE|FOLDER|- [-R] [flags]",
     "  podium apply -f web.yaml\n"
     "  podium apply -f manifests/ -R --dry-run=server\n"
     "\nA folder that is watched (podium status names it) does this by itself.\n",
     flags_apply, cli_verb_apply},
    {"create", CHANGE, "create objects from files, or a namespace, configmap or secret",
     "create -f FILE|FOLDER|-\ncreate namespace NAME\ncreate configmap|secret NAME --from-literal=K=V "
     "--from-file=[K=]FILE",
     NULL, flags_create, cli_verb_create},
    {"delete", CHANGE, "delete objects and wait until they are gone",
     "delete KIND NAME… | KIND/NAME… | KIND -l LABELS | KIND --all | -f FILE [flags]",
     "  podium delete pod web-1\n"
     "  podium delete -f web.yaml --wait=false\n"
     "  podium delete pod web-1 --force       its node is lost for good\n",
     flags_delete, cli_verb_delete},
    {"scale", CHANGE, "change how many replicas there shall be", "scale KIND/NAME… --replicas=N", NULL, flags_scale,
     cli_verb_scale},
    {"patch", CHANGE, "change fields of an object", "patch KIND NAME -p PATCH [--type strategic|merge|json]",
     "  podium patch deploy web -p '{\"spec\":{\"replicas\":2}}'\n", flags_patch, cli_verb_patch},
    {"label", CHANGE, "set (key=value) or remove (key-) labels", "label KIND NAME KEY=VALUE… KEY-… [--overwrite]", NULL,
     flags_label, cli_verb_label},
    {"annotate", CHANGE, "set (key=value) or remove (key-) annotations",
     "annotate KIND NAME KEY=VALUE… KEY-… [--overwrite]", NULL, flags_annotate, cli_verb_annotate},
    {"rollout", CHANGE, "follow, restart, undo a deployment's change of template",
     "rollout status|restart|undo|history|pause|resume deployment/NAME",
     "  podium rollout status deploy/web --timeout=1m\n"
     "  podium rollout undo deploy/web --to-revision=2\n",
     flags_rollout, cli_verb_rollout},
    {"logs", INSIDE, "what containers have written", "logs POD|KIND/NAME [CONTAINER] [-f] [flags]\nlogs -l LABELS",
     "  podium logs web-1 -f --tail=20\n"
     "  podium logs deploy/web --since=5m     of one of its pods\n"
     "  podium logs web-1 -p                  why did it end the last time\n",
     flags_logs, cli_verb_logs},
    {"exec", INSIDE, "run a command in a container", "exec POD|KIND/NAME [-c CONTAINER] [-i] [-t] -- COMMAND [ARG…]",
     "  podium exec web-1 -- ls /\n"
     "  podium exec -it deploy/web -- sh      a shell in one of its pods\n"
     "\nThe exit code is the command's.\n",
     flags_exec, cli_verb_exec},
    {"attach", INSIDE, "see what a container's own process writes, and write to it",
     "attach POD|KIND/NAME [-c CONTAINER] [-i] [-t]",
     "  podium attach web-1                   what it writes from now on\n"
     "  podium attach -it shell               a container with stdin: true and tty: true\n"
     "\nCtrl-C detaches when its terminal is not ours; else leave by ending podium.\n",
     flags_attach, cli_verb_attach},
    {"cp", INSIDE, "copy files and folders to and from containers", "cp FROM TO [-c CONTAINER]",
     "  podium cp notes.txt web-1:/tmp/\n"
     "  podium cp other/web-1:/etc/nginx ./nginx    of a pod in the namespace other\n"
     "\nThe container must have tar in it.\n",
     flags_cp, cli_verb_cp},
    {"port-forward", INSIDE, "reach a port of a pod from here",
     "port-forward POD|KIND/NAME [LOCAL:]REMOTE… [--address ADDRESS,…]",
     "  podium port-forward web-1 8080:80\n"
     "  podium port-forward svc/web :http     any free port here, the service's by name\n",
     flags_port_forward, cli_verb_port_forward},
    {"status", CLUSTER, "is all well, and if not, why", "status [-q]",
     "The exit code is 0 when all is well, 1 otherwise: fit for scripts and monitoring.\n", flags_status,
     cli_verb_status},
    {"node", CLUSTER, "nodes: list, describe, cordon, uncordon, label",
     "node list|get|describe|cordon|uncordon|label [NAME] [flags]\nnode start|stop NAME",
     "start and stop are of local clusters (podium up); the others are get, describe, … of nodes.\n", flags_node,
     cli_verb_node},
    {"cordon", CLUSTER, "give a node no new pods", "cordon NODE… | -l LABELS", NULL, flags_cordon, cli_verb_cordon},
    {"uncordon", CLUSTER, "give a node pods again", "uncordon NODE… | -l LABELS", NULL, flags_cordon,
     cli_verb_uncordon},
    {"drain", CLUSTER, "empty a node: cordon it and evict its pods", "drain NODE… | -l LABELS [flags]",
     "  podium drain node-2 --ignore-daemonsets --delete-emptydir-data\n"
     "  podium drain node-2 --timeout=5m      no longer than that, whatever a disruption budget holds\n"
     "  podium uncordon node-2                when it is back\n"
     "\nReturns when the pods are gone.\n",
     flags_drain, cli_verb_drain},
    {"top", CLUSTER, "use of processor and memory (not yet)", "top nodes|pods", NULL, flags_top, cli_verb_top},
    {"api-resources", CLUSTER, "the kinds there are", "api-resources [-o wide|name] [--namespaced] [--api-group GROUP]",
     NULL, flags_api_resources, cli_verb_api_resources},
    {"cluster-info", CLUSTER, "which server is in use, and how", "cluster-info", NULL, NULL, cli_verb_cluster_info},
    {"version", CLUSTER, "versions of podium and of the server", "version [--client] [-o yaml|json]", NULL,
     flags_version, cli_verb_version},
    {"kubeconfig", CLUSTER, "print the access to the cluster in use, for kubectl and others", "kubeconfig [-o FILE]",
     NULL, flags_kubeconfig, cli_verb_kubeconfig},
    {"backup", CLUSTER, "write the state of the cluster, and the server's keys, into a file",
     "backup FILE [--data-dir DIR] [--no-keys]",
     "  podium backup /var/backups/podium-$(date +%F).jsonl\n"
     "\nOne consistent state while the cluster runs on; text, one object a line. Secrets and keys are in it as they "
     "are: "
     "only root may read the file, keep it so.\n"
     "podium restore (on the server's host) makes a new store of it.\n",
     flags_backup, cli_verb_backup},
    {"rotate-key", CLUSTER, "a new key for the Secrets on the server's disk", "rotate-key",
     "\nAll Secrets are written once more with a new key, while the cluster runs on; then the old one is gone.\n"
     "Copies of the server's folder made before need the old key: it is in them.\n",
     NULL, cli_verb_rotate_key},
    {"token", CLUSTER, "let nodes join: make, list and take back tokens",
     "token create [--ttl DURATION] [--description TEXT] [--link HOST:PORT]\n  token list\n  token delete ID…",
     "  podium token create --ttl 2h          prints how a new node joins\n"
     "\nA token is a bootstrap token as Kubernetes has them: the Secret kube-system/bootstrap-token-ID, gone when its\n"
     "time is over. Nodes that have joined do not need it any more, unless they were away for longer than their\n"
     "certificate lives. The token of the server's --token-file, if it has one, is good for ever and in no list.\n",
     flags_token, cli_verb_token},
    {"help", OTHER, "what podium can do", "help [VERB]", NULL, NULL, cli_verb_help},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
