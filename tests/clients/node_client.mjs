// What JavaScript programs do, with @kubernetes/client-node 1.x: objects, Secrets, watches, an informer that outlives a
// restart of the service. Prints "ok WHAT" or "not ok WHAT: WHY" for each check.
//
//     node node_client.mjs KUBECONFIG FOLDER      FOLDER has node_modules; lines on standard input answer "RESTART"
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const [kubeconfig, folder] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(folder), 'package.json'));
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const group = 'projectcalico.org';
const version = 'v3';
const peers = { group, version, plural: 'bgppeers' };
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const core = config.makeApiClient(k8s.CoreV1Api);
const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);

function check(what, good, seen = '') {
  console.log(good ? `ok ${what}` : `not ok ${what}: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`);
}

async function refused(what, code, action) {
  try {
    const answer = await action();
    check(what, false, answer);
  } catch (error) {
    const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
    check(what, error.code === code && status?.kind === 'Status' && status.code === code, error.message);
    return status;
  }
}

async function until(condition, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function peer(name, asNumber = 64999, labels = {}) {
  return {
    apiVersion: `${group}/${version}`,
    kind: 'BGPPeer',
    metadata: { name, labels },
    spec: { nodeSelector: 'all()', peerIP: '192.0.2.1', asNumber },
  };
}

async function objects() {
  const made = await custom.createClusterCustomObject({ ...peers, body: peer('one', 64999, { tier: 'a' }) });
  check('create', made.metadata.uid && made.spec.asNumber === 64999, made);
  const read = await custom.getClusterCustomObject({ ...peers, name: 'one' });
  check('get', read.metadata.resourceVersion === made.metadata.resourceVersion, read);
  await refused('create twice', 409, () => custom.createClusterCustomObject({ ...peers, body: peer('one') }));
  await refused('get what is not there', 404, () => custom.getClusterCustomObject({ ...peers, name: 'none' }));
  const invalid = await refused('an invalid one', 422, () =>
    custom.createClusterCustomObject({ ...peers, body: { ...peer('two'), spec: { peerIP: 'nowhere' } } }));
  check('its cause', invalid?.details?.causes?.some((cause) => cause.field === 'spec.peerIP'), invalid);
  read.spec.asNumber = 65000;
  const replaced = await custom.replaceClusterCustomObject({ ...peers, name: 'one', body: read });
  check('replace', replaced.spec.asNumber === 65000 && replaced.metadata.generation === 2, replaced);
  await refused('replace with a stale version', 409, () => custom.replaceClusterCustomObject({ ...peers, name: 'one', body: read }));
  const patched = await custom.patchClusterCustomObject({ ...peers, name: 'one', body: { spec: { asNumber: 65001 } } }, merge);
  check('merge patch', patched.spec.asNumber === 65001 && patched.spec.peerIP === '192.0.2.1', patched);
  const json = await custom.patchClusterCustomObject(
    { ...peers, name: 'one', body: [{ op: 'replace', path: '/spec/asNumber', value: 65002 }] });
  check('JSON patch, the default', json.spec.asNumber === 65002, json);
  await custom.createClusterCustomObject({ ...peers, body: peer('two', 64998, { tier: 'b' }) });
  const list = await custom.listClusterCustomObject({ ...peers, labelSelector: 'tier=b' });
  check('list', list.kind === 'BGPPeerList' && list.items.length === 1 && list.items[0].metadata.name === 'two', list);
  const page = await custom.listClusterCustomObject({ ...peers, limit: 1 });
  const rest = await custom.listClusterCustomObject({ ...peers, limit: 1, _continue: page.metadata.continue });
  check('pages', page.items[0].metadata.name === 'one' && rest.items[0].metadata.name === 'two', [page, rest]);
  const dry = await custom.createClusterCustomObject({ ...peers, body: peer('dry'), dryRun: 'All' });
  check('dry run', dry.metadata.name === 'dry', dry);
  await refused('nothing was stored', 404, () => custom.getClusterCustomObject({ ...peers, name: 'dry' }));
  const gone = await custom.deleteClusterCustomObject({ ...peers, name: 'two' });
  check('delete', gone.status === 'Success' || gone.kind === 'BGPPeer', gone);
  await custom.createClusterCustomObject({ ...peers, body: peer('three', 1, { tier: 'c' }) });
  const all = await custom.deleteCollectionClusterCustomObject({ ...peers, labelSelector: 'tier=c' });
  check('delete a collection', all.items?.length === 1, all);
}

async function anyObjects() {
  const client = k8s.KubernetesObjectApi.makeApiClient(config);
  const made = await client.create(peer('any'));
  check('create any object', made.metadata.name === 'any', made);
  const read = await client.read({ apiVersion: made.apiVersion, kind: made.kind, metadata: { name: 'any' } });
  check('read any object', read.spec.asNumber === 64999, read);
  const patched = await client.patch({ ...peer('any', 64777) }, undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch);
  check('patch any object', patched.spec.asNumber === 64777, patched);
  const listed = await client.list(made.apiVersion, made.kind);
  check('list any kind', listed.items.some((item) => item.metadata.name === 'any'), listed);
  await client.delete(made);
  await refused('it is gone', 404, () => client.read(made));
}

async function secrets() {
  const marker = Buffer.from('**redacted**').toString('base64');
  const made = await core.createNamespacedSecret({
    namespace: 'default', body: { metadata: { name: 'pw' }, stringData: { key: 'correct-horse' } } });
  check('create a Secret', made.data.key === marker && !made.stringData, made);
  const read = await core.readNamespacedSecret({ namespace: 'default', name: 'pw' });
  check('it cannot be read back', read.data.key === marker && read.type === 'Opaque', read);
  read.metadata.labels = { use: 'bgp' };
  const replaced = await core.replaceNamespacedSecret({ namespace: 'default', name: 'pw', body: read });
  check('replace keeps the value', JSON.parse(replaced.metadata.annotations['bgppeerd.io/values']).key.version === Number(made.metadata.resourceVersion), replaced);
  const patched = await core.patchNamespacedSecret(
    { namespace: 'default', name: 'pw', body: { stringData: { other: 'staple' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch));
  check('strategic patch', Object.keys(patched.data).join() === 'key,other', patched);
  const list = await core.listSecretForAllNamespaces();
  check('list Secrets', list.items.length === 1 && list.items[0].metadata.namespace === 'default', list);
  const namespaces = await core.listNamespace();
  check('list namespaces', namespaces.items.map((item) => item.metadata.name).join() === 'default', namespaces);
  await core.deleteNamespacedSecret({ namespace: 'default', name: 'pw' });
  await refused('deleted', 404, () => core.readNamespacedSecret({ namespace: 'default', name: 'pw' }));
}

async function about() {
  const code = await config.makeApiClient(k8s.VersionApi).getCode();
  check('version', code.gitVersion.includes('bgppeerd') && code.major === '1', code);
  const resources = await config.makeApiClient(k8s.CoreV1Api).getAPIResources();
  check('resources', resources.resources.some((resource) => resource.name === 'secrets'), resources);
}

async function watches() {
  const seen = [];
  let ended;
  const watch = new k8s.Watch(config);
  const stop = await watch.watch(`/apis/${group}/${version}/bgppeers`, { labelSelector: 'watched=yes' },
    (type, object) => seen.push(`${type} ${object.metadata.name} ${object.spec.asNumber}`), (error) => { ended = error ?? 'end'; });
  await custom.createClusterCustomObject({ ...peers, body: peer('w', 1, { watched: 'yes' }) });
  await custom.patchClusterCustomObject({ ...peers, name: 'w', body: { spec: { asNumber: 2 } } }, merge);
  await custom.deleteClusterCustomObject({ ...peers, name: 'w' });
  await until(() => seen.length >= 3);
  check('watch', seen.join() === 'ADDED w 1,MODIFIED w 2,DELETED w 2', seen);
  check('it goes on', ended === undefined, String(ended));
  stop.abort();
  let why;
  await watch.watch(`/apis/${group}/${version}/bgppeers`, { timeoutSeconds: 1 }, () => {}, (error) => { why = error ?? 'end'; });
  await until(() => why !== undefined);
  check('a watch with a time ends cleanly', why === 'end' || why === null, String(why));
}

async function restart() {
  console.log('RESTART');
  await input.next();
}

async function informer() {
  const events = [];
  let errors = 0;
  const list = () => custom.listClusterCustomObject(peers);
  const it = k8s.makeInformer(config, `/apis/${group}/${version}/bgppeers`, list);
  for (const type of ['add', 'update', 'delete']) {
    it.on(type, (object) => events.push(`${type} ${object.metadata.name} ${object.spec.asNumber}`));
  }
  it.on('error', () => {
    errors += 1;
    setTimeout(() => it.start(), 200);
  });
  await custom.createClusterCustomObject({ ...peers, body: peer('before', 1) });
  await it.start();
  await until(() => events.includes('add before 1'));
  check('informer: what is there', events.includes('add before 1'), events);
  await custom.patchClusterCustomObject({ ...peers, name: 'before', body: { spec: { asNumber: 2 } } }, merge);
  check('informer: a change', await until(() => events.includes('update before 2')), events);
  await restart();
  await custom.patchClusterCustomObject({ ...peers, name: 'before', body: { spec: { asNumber: 3 } } }, merge);
  check('informer: a change after a restart', await until(() => events.includes('update before 3')), [events, errors]);
  await custom.createClusterCustomObject({ ...peers, body: peer('after', 4) });
  check('informer: a new one', await until(() => events.includes('add after 4')), events);
  await custom.deleteClusterCustomObject({ ...peers, name: 'before' });
  check('informer: a deletion', await until(() => events.includes('delete before 3')), events);
  const now = it.list().map((object) => object.metadata.name).sort();
  check('informer: its cache is the truth', now.join() === (await list()).items.map((item) => item.metadata.name).join(), now);
  check('informer: nothing came twice', new Set(events).size === events.length, events);
  await it.stop();
}

for (const part of [about, objects, anyObjects, secrets, watches, informer]) {
  try {
    await part();
  } catch (error) {
    check(`${part.name} came to its end`, false, `${error.stack}`);
  }
}
process.exit(0);
