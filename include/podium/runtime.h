/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All the agent knows of baton: how a pod's supervisor is started, what it is told and what it says.
 *
 * What it is. `baton pod --dir DIR` is the main process of a pod's systemd unit. DIR (mode 0700, on a tmpfs) holds
 * `pod.json`, written by the agent before the unit starts. The supervisor makes two things there: `control`, a
 * SOCK_SEQPACKET unix socket (mode 0600, peers other than root are hung up on), and `state.json`, replaced atomically
 * at every change, so that an agent that comes back knows all. Nothing else is shared.
 *
 * The supervisor lives in the pod's own mount, network (unless hostNetwork), IPC (unless hostIPC) and UTS namespaces;
 * its containers inherit them and get their own PID, mount and cgroup namespaces. It moves itself into the sub-cgroup
 * `supervisor` of its unit; each container runs in a sub-cgroup named after it.
 *
 * Life. Ready (sd_notify) when the sandbox is up and `control` listens. Containers start when the agent has said
 * that the network is there (at once with hostNetwork): init containers one by one, restartable ones ("sidecars")
 * staying on, then all containers. It exits with POD_EXIT_OK when it was told to stop (SIGTERM or "stop") and all is
 * down, or when every container ended for good by its restart policy; state.json then is final ("finished": true) and
 * stays for the agent. It exits with another code when it could not set up the sandbox: the reason is in state.json
 * ("error") and on stderr; nothing stays mounted or running.
 *
 * An existing state.json with the same uid is taken up at start: restart counts go on (the containers that were
 * running count as killed), so a supervisor that was killed loses no history.
 *
 * Times are microseconds since the epoch (real time). Members not named are ignored by both sides; so may be new ones.
 *
 * --- pod.json ---
 *
 *   uid, namespace, name         strings
 *   hostname                     string; domainname optional. Not set with hostNetwork (the UTS name stays the host's)
 *   hostNetwork, hostIPC, hostPID, shareProcessNamespace   booleans. With shareProcessNamespace a small init process
 *                                holds the PID namespace all containers join; it counts for nothing with hostPID
 *   userNamespace                optional {hostID, size}: the pod's users and groups 0 to size-1 are the host's from
 *                                hostID on. Its network, IPC and UTS namespaces, and all of its containers, belong to
 *                                that user namespace; every container's config lists one of type user with the same
 *                                mappings. Layers and mounts with option "idmap" keep the ids they have on disk
 *   sysctls                      object name → value ("net.ipv4.ip_unprivileged_port_start": "0"), set in the sandbox
 *   restartPolicy                "Always" | "OnFailure" | "Never"
 *   terminationGracePeriodSeconds   integer, default 30
 *   tmpfs                        array of {path, size, mode, gid}, the last three optional (bytes; 0777): mounted in
 *                                the pod's mount namespace before any container starts (emptyDir with medium Memory)
 *   sharedMounts                 array of {source, path}: a host folder bound to path (made in DIR by the supervisor)
 *                                such that mounts go both ways; containers bind from path with option "rshared"
 *   initContainers, containers   arrays of containers
 *   ephemeralContainers          optional array of containers that run once, when they are there at the start or come
 *                                later ("reload"); target: name of the container whose PID namespace they share
 *
 * A container:
 *   (mounts of its config may have a member of ours, subPath: the part of the source that is mounted. It is looked up
 *    at every start, never leaving the source whatever links are in it; a folder is made when nothing is there, with
 *    the mode of the source)
 *   name                         DNS label; identifier in the journal and name of its sub-cgroup
 *   config                       a full OCI runtime configuration (needed unless it is held). root.path, if relative,
 * is made in DIR; network, ipc and uts namespaces must not be listed (they are the pod's); cgroupsPath is ignored
 *   seccompDefault               boolean: where config has no seccomp profile, baton's default one for the container's
 *                                capabilities
 *   rootfs                       {lower: [folders, topmost first], upper, work}. upper and work are emptied before each
 *                                start: a restarted container begins anew
 *   restartPolicy                "Always" in initContainers: a sidecar. Absent elsewhere
 *   stopSignal                   signal number, default 15
 *   postStart, preStop           optional {exec: [args]}, {sleepSeconds: n} or {http: true}: the agent is asked to run
 *                                it (event "hook"). preStop is part of the grace; when it leaves less than two seconds
 *                                of it, or nothing, the program still has two seconds from the stop signal to SIGKILL
 *   startupProbe                 boolean: not started before the agent says so (op "started")
 *   terminationMessageFile       optional path on the host: made anew (empty, 0666) before each run, its first bytes
 *                                (at most 4096, and 12288 shared by all containers) become the message of the
 *                                termination
 *   allocation                   integer, default 0: number of the resources that config has. It grows when the file is
 *                                written again with others (see "resize")
 *   held                         optional {reason, message, inOrder}: it cannot be started by now (its image is not
 *                                there, a ConfigMap is missing); config and the rest may be absent. An init container
 *                                that is held holds those after it; another one does only when inOrder, and only
 *                                their first starts: its image is just coming
 *   stdin, stdinOnce             booleans: the container has an input that peers write to by "attach". With
 *                                process.terminal of the OCI configuration the supervisor keeps the terminal's master
 *
 * --- output in the journal ---
 *
 * Each run of a container has a journal stream: SYSLOG_IDENTIFIER is the container's name, _SYSTEMD_UNIT the pod's
 * unit, PRIORITY 6. SYSLOG_FACILITY is POD_LOG_FACILITY(number of the run): runs next to each other in time differ in
 * it, so that a reader tells them apart however late their last lines came.
 *
 * The journal leaves out empty lines, strips white space at the end of lines and cuts them at NUL bytes and at LineMax=
 * bytes (it says so, but loses the newline of a line that ends just there). Therefore POD_LOG_MARK, which no terminal
 * shows, is added to a line that is empty, ends with a space, a tab or a mark, or is a multiple of POD_LOG_LINE_MAX
 * long; POD_LOG_MARK_CR stands for a carriage return before the newline. These also at the end of a last line without
 * newline. In the line a NUL byte is written as POD_LOG_ESCAPE POD_LOG_ESCAPED_NUL, the byte POD_LOG_ESCAPE as
 * POD_LOG_ESCAPE POD_LOG_ESCAPED_ESCAPE; POD_LOG_ESCAPE POD_LOG_ESCAPED_NOTHING stands for nothing. (Streams of
 * supervisors that do not say "run" in the state have neither the facility nor these marks.)
 *
 * --- state.json, and the event "state" ---
 *
 *   uid                          as in pod.json
 *   supervisorPid                its PID as itself sees it (the host's)
 *   startedAt                    when the supervisor started
 *   networkReady                 boolean
 *   stopping                     boolean: told to stop; nothing is restarted any more
 *   finished                     boolean: no container runs or will run again
 *   error                        string, only when the sandbox failed
 *   containers                   array in the order of pod.json, init containers first:
 *     name; init, sidecar        string; booleans. ephemeral: true for those, else absent
 *     state                      "waiting" | "running" | "terminated"
 *     reason, message            waiting: PodInitializing, ContainerCreating, CrashLoopBackOff, RunContainerError, or
 *                                those of "held" when it would be its turn;
 *                                terminated: Completed, Error, OOMKilled, StartError (exit code 128), Unknown (exit
 *                                code 255: it ran when the node went down)
 *     containerID                64 hex digits, new at every start; "" before the first
 *     pid                        running only
 *     started                    boolean: the postStart hook, if any, is done, and the startup probe succeeded
 *     postStartDone              boolean: running, and the postStart hook, if any, is done
 *     startedAt, finishedAt      startedAt is taken before the process starts: its first output is never earlier
 *     run                        number of the run (its restart count) whose times and codes these are; running and
 *                                terminated. Absent or -1: not known
 *     allocation                 running: number of the resources it really has; absent: 0
 *     exitCode, signal           terminated only; exitCode is 128+signal when a signal ended it
 *     restartCount               integer
 *     retryAt                    CrashLoopBackOff only: when the next start is due
 *     last                       the previous termination: {containerID, run, exitCode, signal, reason, message,
 *                                startedAt, finishedAt}; absent before the first restart
 *
 * --- control socket: one JSON object a message, at most POD_MESSAGE_MAX bytes ---
 *
 * From the supervisor, in this order at connection: "sandbox", then "state"; afterwards as things happen, to every
 * peer (exec events only to the peer that asked):
 *   {"event":"sandbox","uid":…,"hostNetwork":bool}     one descriptor with it: the network namespace
 *   {"event":"state", …}                               the whole state, after every change
 *   {"event":"exec-started","id":…}                    one descriptor (the terminal's master) when tty was asked.
 *                                                      Of an attach: one descriptor to write to when stdin was asked
 *                                                      and is open, or the terminal's master (to write to and to
 *                                                      resize, not to read)
 *   {"event":"exec-exit","id":…,"exitCode":n,"signal":n}   or with "error": "…" when it could not start
 *   {"event":"hook","container":…,"containerID":…,"hook":"postStart"|"preStop"}   run this hook and answer with
 *                                                      "hook-done". Said again to each new peer until answered, so a
 *                                                      hook may run twice. postStart waits for a peer; preStop until
 *                                                      the grace is used up
 *   {"event":"hook-failed","container":…,"containerID":…,"hook":…,"message":…}   whoever ran it; postStart: the
 *                                                      container is being ended
 *   {"event":"error","op":…,"message":…}               a message was not understood
 *
 * To the supervisor:
 *   {"op":"network"}                                   the veth is there: start containers. Repeating is harmless
 *   {"op":"stop","gracePeriodSeconds":n}               ends the pod; a later, shorter period shortens it. n 0: at once
 *   {"op":"restart","container":…,"reason":…,"message":…,"gracePeriodSeconds":n}   ends this container by its stop
 *                                                      signal (liveness). It is restarted, unless the restart policy
 *                                                      is Never, also when its exit code is 0
 *   {"op":"started","container":…,"containerID":…}     the startup probe of this run succeeded
 *   {"op":"hook-done","container":…,"containerID":…,"hook":…,"error":…}   error: absent when it succeeded
 *   {"op":"exec","id":…,"container":…,"args":[…],"tty":bool,"stdin":bool,"stdout":bool,"stderr":bool,
 *    "env":["A=b"],"rows":n,"columns":n}               descriptors with it: one for each true among stdin, stdout,
 *                                                      stderr, in this order; none with tty. id: the peer's choice
 *   {"op":"exec-kill","id":…,"signal":n}
 *   {"op":"attach","id":…,"container":…,"stdin":bool,"stdout":bool,"stderr":bool}   descriptors with it: one for each
 *                                                      true among stdout, stderr: writing sides, best of large pipes,
 *                                                      that get a copy of the output from now on. They are closed at
 *                                                      its end. Whoever takes nothing for a second is dropped. The
 *                                                      answers are those of exec; exitCode is the container's. stderr
 *                                                      comes apart only when the container has stdin and no terminal
 *   {"op":"reload"}                                    pod.json has more ephemeralContainers, or other containers are
 *                                                      held than before: they are started. The state says so; "error"
 *                                                      if not. (The configuration of a start is that of the file as it
 *                                                      is then, reload or not. An exec has that of its run's start)
 *   {"op":"resize","container":…}                      pod.json has other resources for this container than it runs
 * with: they are applied to its cgroup, the state says so. "error" when it uses more memory than it shall have: ask
 * again later. One that does not run takes them at its next start. The unit's own limits are the agent's business
 *   {"op":"detach","id":…}                             ends an attach; the container stays as it is. No answer
 * An exec goes on when the peer that asked for it is gone (its descriptors tell it).
 */
#ifndef PODIUM_RUNTIME_H
#define PODIUM_RUNTIME_H

/* Output in the journal: see above. */
#define POD_LOG_PRIORITY        6u /* info */
#define POD_LOG_FACILITIES      7u
#define POD_LOG_FACILITY(run)   (16u + (unsigned) (run) % POD_LOG_FACILITIES) /* local0 to local6 */
#define POD_LOG_ESCAPE          0xC0u                                         /* never occurs in UTF-8 */
#define POD_LOG_ESCAPED_NUL     0x80u
#define POD_LOG_ESCAPED_ESCAPE  0x81u
#define POD_LOG_ESCAPED_NOTHING 0x82u
#define POD_LOG_MARK            "\xE2\x81\xA0" /* U+2060 WORD JOINER */
#define POD_LOG_MARK_CR         "\xE2\x81\xA1" /* U+2061 FUNCTION APPLICATION, invisible, too */
#define POD_LOG_LINE_MAX        49152u         /* the journal's LineMax= */

#define POD_FILE_SPEC      "pod.json"
#define POD_FILE_STATE     "state.json"
#define POD_FILE_CONTROL   "control"
#define POD_CGROUP_SELF    "supervisor"
#define POD_CONTAINERS_MAX 256
#define POD_MESSAGE_MAX    (192u * 1024u) /* below the default socket buffer of 212,992 bytes less overhead */
#define POD_GRACE_DEFAULT  30

/* Exit codes of `baton pod`. */
#define POD_EXIT_OK      0 /* stopped as told, or all containers ended for good */
#define POD_EXIT_SANDBOX 1 /* pod.json is unusable or the sandbox could not be made: see "error" in state.json */

/* Back-off of restarts: the first at once, then 10 s doubling up to 5 min; a run of 10 min resets it. */
#define POD_BACKOFF_FIRST_USEC (10ull * 1000000ull)
#define POD_BACKOFF_MAX_USEC   (300ull * 1000000ull)
#define POD_BACKOFF_RESET_USEC (600ull * 1000000ull)

/* Entry of the verb `pod`; returns an exit code. */
int pod_main(int argc, char **argv);

#endif
