/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a container's state: the first line its process, the rest its document. What verbs do first with it. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "runtime/state/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One folder for all inputs. */
static char path[] = "/tmp/fuzz-state-XXXXXX";

static void remove_folder(void) {
    int r = rm_tree(path, NULL);
    (void) r;
}

static int open_folder(void) {
    int fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0)
        __builtin_trap();
    (void) atexit(remove_folder);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int folder = -1;
    const uint8_t *end = memchr(data, '\n', size);
    size_t n = end ? (size_t) (end - data) : 0;
    char process[48] = "";

    if (folder < 0)
        folder = open_folder();
    memcpy(process, data, n < sizeof(process) - 1 ? n : sizeof(process) - 1);
    (void) unlinkat(folder, "process", 0);
    if (*process && symlinkat(process, folder, "process") < 0)
        return 0;
    _cleanup_close_ int fd = openat(folder, "state.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fd_write_all(fd, data + (end ? n + 1 : 0), size - (end ? n + 1 : 0)) < 0)
        __builtin_trap();
    struct state_dir dir = {.root_fd = -1, .fd = folder, .id = (char *) "fuzz"};
    struct state state = STATE_INIT;
    enum state_status status;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int pidfd = -1, r = state_read(&dir, &state, &err);

    if (r < 0 && !err.text)
        __builtin_trap(); /* every refusal says why */
    if (r == 0 && state_status(&dir, &state, &status, &pidfd, NULL) == 0)
        json_unref(state_document(&dir, &state, status));
    closep(&pidfd);
    state_finish(&state);
    return 0;
}
