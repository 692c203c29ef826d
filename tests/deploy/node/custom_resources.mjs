// Judges custom resources by the types of their operators: a JSON list of documents on stdin, on
// stdout a list of what is wrong with them. The validators of @kubernetes-models read every field
// that they know and ignore the others, so a field that nobody read is misspelt.
import { text } from "node:stream/consumers";

const packages = {
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const inner = Object.fromEntries(
    Object.keys(value).map((key) => {
      if (!Array.isArray(value)) unread.add(`${path}.${key}`);
      return [key, watched(value[key], `${path}.${key}`, unread)];
    }),
  );
  return new Proxy(Array.isArray(value) ? Object.values(inner) : inner, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return target[key];
    },
  });
}

async function complaints(document) {
  const [group, version] = document.apiVersion.split("/");
  const module = `@kubernetes-models/${packages[group]}/${group}/${version}/${document.kind}`;
  const model = (await import(module))[document.kind];
  const unread = new Set();
  try {
    model.prototype.validate.call(watched(document, document.kind, unread));
  } catch (error) {
    return [`${document.kind}: ${error.message}`];
  }
  return [...unread].map((path) => `${path}: no such field`);
}

const documents = JSON.parse(await text(process.stdin));
console.log(JSON.stringify((await Promise.all(documents.map(complaints))).flat()));
