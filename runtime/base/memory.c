/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "podium/base/fd.h"
#include "podium/base/strbuf.h"

static bool was_relocated_in_place(const struct dl_phdr_info *info) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const ElfW(Dyn) *) (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
                return true;
    }
    return false;
}

/* Segments of program and libraries that nobody can write hold what their files hold. Those made read-only after
 * relocation (RELRO) are parts of writable segments, and left alone. */
static int drop_clean(struct dl_phdr_info *info, size_t size, void *userdata) {
    uintptr_t page = *(const uintptr_t *) userdata;

    if (info->dlpi_addr == getauxval(AT_SYSINFO_EHDR) /* the kernel's own, which is no file */
        || was_relocated_in_place(info))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr, to = from + p->p_memsz;

        if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
            continue;
        from = from / page * page;
        to = (to + page - 1) / page * page;
        (void) madvise((void *) from, to - from, MADV_DONTNEED);
    }
    return 0;
}

static bool is_traced(void) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read("/proc/self/status", 65536, &text, NULL) < 0)
        return true;
    const char *tracer = strstr(strbuf_str(&text), "\nTracerPid:");
    return !tracer || strtol(tracer + strlen("\nTracerPid:"), NULL, 10) != 0;
}

/* jemalloc's, in programs that are linked with it (jemalloc(3)); absent from others. */
__attribute__((weak)) int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

void memory_trim(void) {
    if (mallctl) {
        (void) mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
        (void) mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* MALLCTL_ARENAS_ALL */
    } else {
        (void) malloc_trim(0);
    }
}

void memory_give_back(void) {
    uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);

    if (!is_traced())
        (void) dl_iterate_phdr(drop_clean, &page);
    memory_trim(); /* last: reading allocates */
}
