/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/kubeconfig.h"

#include <string.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

int kubeconfig_write(const char *path, const char *ca_dir, const char *cluster, const char *server,
                     unsigned long long lifetime_sec, struct error *err) {
    char *groups[] = {(char *) "system:masters", NULL};
    const struct pki_request request = {
        .common_name = "podium-admin", .organizations = groups, .client = true, .lifetime_sec = lifetime_sec};
    _cleanup_free_ char *ca_path = path_join(ca_dir, "ca.crt"), *cert = NULL;
    _cleanup_pki_key_ char *key = NULL;
    _cleanup_strbuf_ struct strbuf ca = STRBUF_INIT, text = STRBUF_INIT;

    int r = file_read(ca_path, PKI_PEM_BYTES_MAX, &ca, err);
    if (r < 0)
        return r;
    r = pki_issue(ca_dir, &request, &cert, &key, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *ca64 = base64_encode(ca.data, ca.len);
    _cleanup_free_ char *cert64 = base64_encode(cert, strlen(cert));
    _cleanup_pki_key_ char *key64 = base64_encode(key, strlen(key));
    strbuf_addf(&text,
                "apiVersion: v1\nkind: Config\ncurrent-context: %s\n"
                "clusters:\n- name: %s\n  cluster:\n    server: %s\n    certificate-authority-data: %s\n"
                "contexts:\n- name: %s\n  context:\n    cluster: %s\n    user: %s-admin\n"
                "users:\n- name: %s-admin\n  user:\n    client-certificate-data: %s\n    client-key-data: ",
                cluster, cluster, server, ca64, cluster, cluster, cluster, cluster, cert64);
    strbuf_adds(&text, key64);
    strbuf_addc(&text, '\n');
    r = file_write_atomic(path, text.data, text.len, 0600, false, err);
    explicit_bzero(text.data, text.len);
    return r;
}
