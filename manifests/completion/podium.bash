# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for podium(1): verbs and flags as `podium help` tells them, names as the cluster has them.

_podium_verbs() {
    podium help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\).*/\1/p'
}
_podium_flags() { # VERB
    podium help "$1" 2>/dev/null | sed -n 's/^ *\(-.,\)\{0,1\} *\(--[a-z-]*\).*/\2/p'
}
_podium_kinds() {
    timeout 2 podium api-resources -o name 2>/dev/null | sed 's/\..*//'
}
_podium_names() { # KIND NAMESPACE
    timeout 2 podium get "$1" ${2:+-n "$2"} -o name 2>/dev/null | sed 's|.*/||'
}
_podium_namespace() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in -n | --namespace) echo "${COMP_WORDS[i + 1]}" ;; esac
    done
}

_podium() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' words=() i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -n | --namespace | -l | --selector | -o | --output | -c | --container | --kubeconfig | --context) ((i++)) ;;
        -*) ;;
        *) if [ -z "$verb" ]; then verb=${COMP_WORDS[i]}; else words+=("${COMP_WORDS[i]}"); fi ;;
        esac
    done
    case $prev in
    -n | --namespace)
        mapfile -t COMPREPLY < <(compgen -W "$(_podium_names namespaces)" -- "$cur")
        return
        ;;
    -o | --output)
        mapfile -t COMPREPLY < <(compgen -W "wide yaml json name jsonpath= custom-columns=" -- "$cur")
        return
        ;;
    -f | --filename | --kubeconfig | --dir | --manifests | --data-dir)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    if [ -z "$verb" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_podium_verbs)" -- "$cur")
    elif [ "${cur#-}" != "$cur" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_podium_flags "$verb")" -- "$cur")
    else
        case $verb in
        get | describe | delete | wait | patch | label | annotate | scale)
            if [ ${#words[@]} -eq 0 ]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_podium_kinds)" -- "$cur")
            else
                mapfile -t COMPREPLY < <(compgen -W "$(_podium_names "${words[0]}" "$(_podium_namespace)")" -- "$cur")
            fi
            ;;
        logs | exec | attach | port-forward) mapfile -t COMPREPLY < <(compgen -W "$(_podium_names pods "$(_podium_namespace)")" -- "$cur") ;;
        cordon | uncordon | drain) mapfile -t COMPREPLY < <(compgen -W "$(_podium_names nodes)" -- "$cur") ;;
        rollout)
            if [ ${#words[@]} -eq 0 ]; then
                mapfile -t COMPREPLY < <(compgen -W "status history undo pause resume restart" -- "$cur")
            else
                mapfile -t COMPREPLY < <(compgen -W "$(_podium_names deployments "$(_podium_namespace)" | sed 's|^|deployment/|')" -- "$cur")
            fi
            ;;
        help) mapfile -t COMPREPLY < <(compgen -W "$(_podium_verbs)" -- "$cur") ;;
        backup | restore) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        esac
    fi
}
complete -o default -F _podium podium
