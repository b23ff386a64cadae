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
    {"exec", INSIDE, "run a command in a container", "exec POD|KIND/NAME [-c CONTAINER] [-i] [-t] -- COMMAND [ARG…]",
     "  podium exec web-1 -- ls /\n"
     "  podium exec -it deploy/web -- sh      a shell in one of its pods\n"
     "\nThe exit code is the command's.\n",
     flags_exec, cli_verb_exec},
    {"help", OTHER, "what podium can do", "help [VERB]", NULL, NULL, cli_verb_help},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
