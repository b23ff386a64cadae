/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/nft.h"

#include <string.h>

#include <nftables/libnftables.h>

struct nft_ctx *nft_open(struct error *err) {
    _cleanup_(nft_closep) struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

    if (!nft) {
        (void) error_set(err, -ENOMEM, "cannot use nftables: out of memory or not permitted");
        return NULL;
    }
    if (nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0) {
        (void) error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    return steal(&nft);
}

void nft_close(struct nft_ctx *nft) {
    if (nft)
        nft_ctx_free(nft);
}

int nft_run_in(struct nft_ctx *nft, const char *commands, struct error *err) {
    if (nft_run_cmd_from_buffer(nft, commands) == 0)
        return 0;
    const char *text = nft_ctx_get_error_buffer(nft);
    int code = text && strstr(text, "Operation not permitted") ? -EPERM : -EIO;
    return error_set(err, code, "nftables: %.*s", text ? (int) strcspn(text, "\n") : 0, text ? text : "");
}

const char *nft_output(struct nft_ctx *nft) {
    const char *text = nft_ctx_get_output_buffer(nft);

    return text ? text : "";
}

int nft_run(const char *commands, struct error *err) {
    _cleanup_(nft_closep) struct nft_ctx *nft = nft_open(err);

    return nft ? nft_run_in(nft, commands, err) : -ENOMEM;
}
