// SPDX-License-Identifier: GPL-2.0-or-later
// Kubernetes' own JavaScript client against the API server: informers, every kind of patch, exec, port-forward, logs.
// Usage: node client_node.mjs NODE_MODULES KUBECONFIG; prints "ok NAME" per part, ends with 1 at the first failure.
// The server is tests/system/apiserver_main.c: commands are `cat`, ports echo, logs have three lines.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { PassThrough, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const [modules, kubeconfig] = process.argv.slice(2);
const entry = createRequire(modules + '/').resolve('@kubernetes/client-node');
const k8s = await import(pathToFileURL(entry).href);

const kc = new k8s.KubeConfig();
kc.loadFromFile(kubeconfig);
const core = kc.makeApiClient(k8s.CoreV1Api);
const apps = kc.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(kc);
const namespace = 'client-node';
const as = (type) => k8s.setHeaderOptions('Content-Type', type);

// What arrives is waited for, never slept for.
class Queue {
    #items = [];
    #waiting = [];
    push(item) {
        const w = this.#waiting.shift();
        w ? w(item) : this.#items.push(item);
    }
    next() {
        if (this.#items.length) return Promise.resolve(this.#items.shift());
        return new Promise((resolve) => this.#waiting.push(resolve));
    }
    async until(test) {
        for (;;) {
            const item = await this.next();
            if (test(item)) return item;
        }
    }
}

class Text extends Writable {
    text = '';
    #changed = () => {};
    _write(chunk, _encoding, done) {
        this.text += chunk;
        this.#changed();
        done();
    }
    async has(part) {
        while (!this.text.includes(part)) await new Promise((resolve) => (this.#changed = resolve));
    }
}

async function status(promise, code) {
    const e = await promise.then(() => null, (e) => e);
    assert.equal(e?.code, code, String(e));
    return typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
}

const map = (name, data, labels = {}) => ({ metadata: { name, labels }, data });

async function versions() {
    const v = await kc.makeApiClient(k8s.VersionApi).getCode();
    assert.equal(v.minor, '32');
    const groups = await kc.makeApiClient(k8s.ApisApi).getAPIVersions();
    assert.ok(groups.groups.some((g) => g.name === 'apps'));
}

async function crud() {
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    const made = await core.createNamespacedConfigMap({ namespace, body: map('one', { a: '1' }) });
    assert.ok(made.metadata.creationTimestamp instanceof Date);
    const taken = await status(core.createNamespacedConfigMap({ namespace, body: map('one', {}) }), 409);
    assert.equal(taken.reason, 'AlreadyExists');
    made.data.a = '2';
    const put = await core.replaceNamespacedConfigMap({ name: 'one', namespace, body: made });
    assert.equal(put.data.a, '2');
    const stale = await status(core.replaceNamespacedConfigMap({ name: 'one', namespace, body: made }), 409);
    assert.equal(stale.reason, 'Conflict');
    const bad = await status(core.createNamespacedConfigMap({ namespace, body: map('Not A Name', {}) }), 422);
    assert.equal(bad.details.causes[0].field, 'metadata.name');
    const gone = await core.deleteNamespacedConfigMap({ name: 'one', namespace });
    assert.equal(gone.status, 'Success');
    assert.equal(gone.details.uid, made.metadata.uid);
    await status(core.readNamespacedConfigMap({ name: 'one', namespace }), 404);
}

async function pages() {
    for (const i of [1, 2, 3, 4, 5])
        await core.createNamespacedConfigMap({ namespace, body: map(`page-${i}`, { i: String(i) }, { part: 'pages' }) });
    const names = [];
    let next;
    do {
        const page = await core.listNamespacedConfigMap({ namespace, limit: 2, _continue: next });
        names.push(...page.items.map((i) => i.metadata.name));
        next = page.metadata._continue;
    } while (next);
    assert.deepEqual(names.filter((n) => n.startsWith('page-')).length, 5);
    const removed = await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'part=pages' });
    assert.ok(removed);
    const left = await core.listNamespacedConfigMap({ namespace, labelSelector: 'part=pages' });
    assert.deepEqual(left.items, []);
}

async function patches() {
    const container = (name, image) => ({ name, image });
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container('a', 'a:1')] } };
    const name = 'web';
    await apps.createNamespacedDeployment({
        namespace,
        body: { metadata: { name }, spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template } },
    });
    const patch = (body, type) => apps.patchNamespacedDeployment({ name, namespace, body }, as(type));
    let d = await patch([{ op: 'replace', path: '/spec/replicas', value: 2 }], k8s.PatchStrategy.JsonPatch);
    assert.equal(d.spec.replicas, 2);
    d = await patch({ metadata: { labels: { x: 'y' } } }, k8s.PatchStrategy.MergePatch);
    assert.deepEqual(d.metadata.labels, { x: 'y' });
    d = await patch(
        { spec: { template: { spec: { containers: [container('b', 'b:1')] } } } },
        k8s.PatchStrategy.StrategicMergePatch,
    );
    assert.deepEqual(d.spec.template.spec.containers.map((c) => c.name).sort(), ['a', 'b']);
    assert.ok(d.metadata.generation >= 3);
    const scale = await apps.readNamespacedDeploymentScale({ name, namespace });
    assert.equal(scale.spec.replicas, 2);
    const failing = [{ op: 'test', path: '/spec/replicas', value: 9 }];
    await status(patch(failing, k8s.PatchStrategy.JsonPatch), 422);
}

async function apply() {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { a: '1' } };
    const one = await objects.patch(body, undefined, undefined, 'first', false, k8s.PatchStrategy.ServerSideApply);
    assert.equal(one.metadata.managedFields[0].operation, 'Apply');
    const other = { ...body, data: { a: '2' } };
    const send = (force) =>
        objects.patch(other, undefined, undefined, 'second', force, k8s.PatchStrategy.ServerSideApply);
    const conflict = await status(send(false), 409);
    assert.equal(conflict.details.causes[0].field, '.data.a');
    assert.equal((await send(true)).data.a, '2');
    assert.equal((await objects.read({ ...body, kind: 'ConfigMap' })).data.a, '2');
    await objects.delete(body);
}

async function informer() {
    const events = new Queue();
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'watched' });
    await core.createNamespacedConfigMap({ namespace, body: map('before', {}, { watched: 'yes' }) });
    const i = k8s.makeInformer(kc, path, list, 'watched');
    for (const type of ['add', 'update', 'delete']) i.on(type, (o) => events.push(`${type} ${o.metadata.name}`));
    i.on('error', (e) => events.push(`error ${e}`));
    await i.start();
    assert.equal(await events.next(), 'add before');
    await core.createNamespacedConfigMap({ namespace, body: map('after', {}, { watched: 'yes' }) });
    assert.equal(await events.next(), 'add after');
    const label = (value) =>
        core.patchNamespacedConfigMap(
            { name: 'after', namespace, body: { metadata: { labels: { watched: value } } } },
            as(k8s.PatchStrategy.MergePatch),
        );
    await label('still');
    assert.equal(await events.next(), 'update after');
    await label(null); // out of the selection
    assert.equal(await events.next(), 'delete after');
    await core.deleteNamespacedConfigMap({ name: 'before', namespace });
    assert.equal(await events.next(), 'delete before');
    assert.deepEqual(i.list(), []);
    await i.stop();
}

async function watches() {
    const events = new Queue();
    const done = new Queue();
    const list = await core.listNamespacedConfigMap({ namespace });
    const query = { allowWatchBookmarks: true, timeoutSeconds: 1, resourceVersion: list.metadata.resourceVersion };
    await new k8s.Watch(kc).watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        query,
        (type, object) => events.push({ type, object }),
        (e) => done.push(e),
    );
    const mark = await events.until((e) => e.type === 'BOOKMARK');
    assert.equal(mark.object.kind, 'ConfigMap');
    assert.ok(!(await done.next()), 'the end is no error');
}

// As browsers watch: a message for each event.
async function watchSocket() {
    const WebSocket = createRequire(entry)('ws');
    const options = {};
    await kc.applyToHTTPSOptions(options);
    const server = kc.getCurrentCluster().server.replace('https', 'wss');
    const ws = new WebSocket(`${server}/api/v1/namespaces/${namespace}/configmaps?watch=true&fieldSelector=metadata.name%3Dseen`, options);
    const events = new Queue();
    ws.on('message', (data) => events.push(JSON.parse(data)));
    ws.on('error', (e) => events.push({ type: String(e) }));
    await new Promise((resolve) => ws.on('open', resolve));
    await core.createNamespacedConfigMap({ namespace, body: map('seen', { a: '1' }) });
    const event = await events.next();
    assert.equal(event.type, 'ADDED');
    assert.equal(event.object.data.a, '1');
    ws.close();
}

const pod = {
    metadata: { name: 'p' },
    spec: { nodeName: 'somewhere', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] },
};

async function logs() {
    await core.createNamespacedPod({ namespace, body: pod });
    const out = new Text();
    await new k8s.Log(kc).log(namespace, 'p', 'c', out, { tailLines: 3 });
    await out.has('one\ntwo\nthree\n');
    assert.equal(await core.readNamespacedPodLog({ name: 'p', namespace, container: 'c' }), 'one\ntwo\nthree\n');
}

async function exec() {
    const out = new Text();
    const input = new PassThrough();
    const ended = new Queue();
    await new k8s.Exec(kc).exec(
        namespace, 'p', 'c', ['cat', '3'], out, null, input, false, (s) => ended.push(s));
    input.write('through the pod');
    await out.has('through the pod');
    input.end();
    const s = await ended.next();
    assert.equal(s.reason, 'NonZeroExitCode');
    assert.deepEqual(s.details.causes, [{ reason: 'ExitCode', message: '3' }]);
}

async function portForward() {
    const out = new Text();
    const input = new PassThrough();
    const ws = await new k8s.PortForward(kc).portForward(namespace, 'p', [80], out, null, input);
    input.write('there and back');
    await out.has('there and back');
    ws.close();
}

async function removal() {
    const gone = await core.deleteNamespacedPod({ name: 'p', namespace, gracePeriodSeconds: 0 });
    assert.equal(gone.kind ?? 'Pod', 'Pod');
    assert.equal(gone.metadata.name, 'p');
}

const parts = {
    versions, crud, pages, patches, apply, informer, watches, watchSocket, logs, exec, portForward, removal,
};
const limit = setTimeout(() => {
    console.log('too slow');
    process.exit(1);
}, 60000);
for (const [name, part] of Object.entries(parts)) {
    try {
        await part();
        console.log(`ok ${name}`);
    } catch (e) {
        console.log(`not ok ${name}: ${e.stack ?? e}`);
        process.exit(1);
    }
}
clearTimeout(limit);
process.exit(0);
