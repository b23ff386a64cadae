/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tokens as strangers send them: as they are, or behind the header of a real one. None may be taken for ours, nothing
 * may crash. What is signed here is taken back, whatever it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/apiserver/authn/token_keys.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct token_keys *keys(void) {
    static struct token_keys *k; /* one for the life of the fuzzer */
    if (!k) {
        char dir[] = "/tmp/podium-fuzz-XXXXXX";
        if (!mkdtemp(dir))
            abort();
        _cleanup_free_ char *path = path_join(dir, "key");
        if (pki_signing_key_ensure(path, NULL) < 0 || token_keys_load(path, &k, NULL) < 0 || rm_tree(dir, NULL) < 0)
            abort();
    }
    return k;
}

static void refuse(const char *token) {
    struct json *claims = NULL;
    if (token_verify(keys(), token, &claims) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *own = json_object(), *claims = NULL;
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    json_set(&own, "sub", json_string(text));
    refuse(text);
    _cleanup_free_ char *token = token_sign(keys(), own, NULL);
    if (!token)
        abort();
    if (token_verify(keys(), token, &claims) < 0)
        return 0; /* too long, or text that is no UTF-8, which no claim of ours is */
    if (!json_equal(own, claims))
        abort();
    _cleanup_free_ char *behind = xasprintf("%.*s.%s", (int) strcspn(token, "."), token, text);
    refuse(behind);
    return 0;
}
