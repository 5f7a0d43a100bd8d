// jose looks at what the server hands out: keys, id_token, access tokens.
import * as jose from "jose";

import { Cases, claims, world } from "./cases.mjs";

const c = new Cases("jose", "jose");
const base = `https://login.microsoftonline.com/${world("TENANT")}`;
const commandLine = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

async function json(url, form) {
  const res = await fetch(url, form && { method: "POST", body: new URLSearchParams(form) });
  const body = await res.json();
  if (!res.ok) throw new Error(`${res.status} ${body.error}: ${body.error_description}`);
  return body;
}

const ropc = { grant_type: "password", username: world("USER"), password: world("PASSWORD") };
const confidential = { ...ropc, client_id: world("APP"), client_secret: world("APP_SECRET"), resource: "https://graph.microsoft.com", scope: "openid" };

for (const v of [
  { name: "v1", metadata: `${base}/.well-known/openid-configuration`, token: `${base}/oauth2/token`, form: confidential },
  { name: "v2", metadata: `${base}/v2.0/.well-known/openid-configuration`, token: `${base}/oauth2/v2.0/token`, form: { ...ropc, client_id: commandLine, scope: "openid profile https://graph.microsoft.com/.default" } },
]) {
  let meta, keys, tokens;
  const ready = await c.check(`keys.${v.name}`, async () => {
    meta = await json(v.metadata);
    keys = jose.createRemoteJWKSet(new URL(meta.jwks_uri));
    const set = await json(meta.jwks_uri);
    for (const k of set.keys) {
      if (k.kty !== "RSA" || !k.kid || !k.n) throw new Error(`key ${JSON.stringify(k)}`);
      await jose.importJWK(k, "RS256");
      if (k.x5c) await jose.importX509(`-----BEGIN CERTIFICATE-----\n${k.x5c[0]}\n-----END CERTIFICATE-----`, "RS256");
    }
    return `${set.keys.length} keys`;
  });
  if (!ready) continue;
  await c.check(`id-token.${v.name}`, async () => {
    tokens = await json(v.token, v.form);
    const { payload, protectedHeader } = await jose.jwtVerify(tokens.id_token, keys, { issuer: meta.issuer, audience: v.form.client_id, algorithms: ["RS256"] });
    if (!(payload.exp > payload.iat)) throw new Error("times");
    return `kid ${protectedHeader.kid}, iss ${payload.iss}, ver ${payload.ver}`;
  });
  if (!tokens) continue;
  await c.check(`access-token.${v.name}`, async () => {
    const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, keys, { algorithms: ["RS256"] });
    if (!protectedHeader.kid || protectedHeader.typ !== "JWT") throw new Error(`header ${JSON.stringify(protectedHeader)}`);
    return `iss ${payload.iss}, aud ${payload.aud}, ver ${payload.ver}`;
  });
  await c.refuse(`id-token.${v.name}.other-audience`, "aud", () => jose.jwtVerify(tokens.id_token, keys, { audience: "nobody" }));
  await c.refuse(`id-token.${v.name}.tampered`, "signature", async () => {
    const [head, , signature] = tokens.id_token.split(".");
    const other = Buffer.from(JSON.stringify({ ...claims(tokens.id_token), oid: "0" })).toString("base64url");
    await jose.jwtVerify(`${head}.${other}.${signature}`, keys);
  });
}
// Entra signs no v1 id_token for a native client; whoever verifies must refuse it.
await c.refuse("id-token.v1.native", "alg", async () => {
  const tokens = await json(`${base}/oauth2/token`, { ...ropc, client_id: commandLine, resource: "https://graph.microsoft.com", scope: "openid" });
  const meta = await json(`${base}/.well-known/openid-configuration`);
  await jose.jwtVerify(tokens.id_token, jose.createRemoteJWKSet(new URL(meta.jwks_uri)), { algorithms: ["RS256"] });
});
process.exit(0);
