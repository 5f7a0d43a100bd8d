// MSAL Node: a public client and a confidential one.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

import { ConfidentialClientApplication, CryptoProvider, InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-node";

import { approve, browse, Cases, claims as claimsOf, demandMFA, want, world } from "./cases.mjs";

const c = new Cases("MSAL Node", "@azure/msal-node");
const tenant = world("TENANT"), user = world("USER"), password = world("PASSWORD");
const authority = `https://login.microsoftonline.com/${tenant}`;
const scopes = ["https://graph.microsoft.com/User.Read"], graph = ["https://graph.microsoft.com/.default"];
const commandLine = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const app = world("APP"), secret = world("APP_SECRET"), redirect = world("APP_REDIRECT");

const publicClient = (more = {}) => new PublicClientApplication({ auth: { clientId: commandLine, authority, ...more } });
const confidential = (auth) => new ConfidentialClientApplication({ auth: { clientId: app, authority, ...auth } });

function result(r) {
  if (r.account?.username?.toLowerCase() !== user) throw new Error(`signed in as ${r.account?.username}`);
  if (!r.account.homeAccountId.endsWith(`.${tenant}`)) throw new Error(`home account id ${r.account.homeAccountId}`);
  if (!r.idToken || r.scopes.length === 0) throw new Error("no id_token or no scopes");
  return want(r.accessToken, { aud: null, tid: tenant, oid: null, exp: null });
}

async function silent(client, account) {
  await c.check("silent.cache", async () => {
    const r = await client.acquireTokenSilent({ account, scopes });
    if (!r.fromCache) throw new Error("the token came from the server, so the first answer was not cached");
    return "from the cache";
  });
  await c.check("silent.other-resource", async () => want((await client.acquireTokenSilent({ account, scopes: ["https://management.azure.com/.default"] })).accessToken, { aud: null, tid: tenant }));
  await c.check("silent.forced", async () => {
    const r = await client.acquireTokenSilent({ account, scopes, forceRefresh: true });
    if (r.fromCache) throw new Error("from the cache");
    return result(r);
  });
  await c.check("silent.claims", async () => {
    const r = await client.acquireTokenSilent({ account, scopes, claims: '{"access_token":{"nbf":{"essential":true,"value":"1"}}}' });
    if (r.fromCache) throw new Error("a claims challenge was answered from the cache");
    return result(r);
  });
}

async function publicCases() {
  const client = publicClient();
  let first;
  if (await c.check("ropc", async () => result(first = await client.acquireTokenByUsernamePassword({ scopes, username: user, password })))) {
    await silent(client, first.account);
  }
  await c.refuse("ropc.wrong-password", "AADSTS50126", () => client.acquireTokenByUsernamePassword({ scopes, username: user, password: `not ${password}` }));
  await c.refuse("ropc.needs-mfa", "AADSTS50076", () => client.acquireTokenByUsernamePassword({ scopes, username: world("MFA_USER"), password: world("FACTOR_PASSWORD") }));
  await c.check("device-code", async () => {
    let approved;
    const r = await client.acquireTokenByDeviceCode({ scopes, deviceCodeCallback: (d) => { approved = approve(d.userCode); } });
    await approved;
    return result(r);
  });
  await c.check("interactive", async () => result(await client.acquireTokenInteractive({ scopes, loginHint: user, openBrowser: (url) => browse(url) })));
  await c.check("authority.local-address", async () => {
    const host = world("HTTPS");
    const local = publicClient({ authority: `https://${host}/${tenant}`, knownAuthorities: [host] });
    return result(await local.acquireTokenByUsernamePassword({ scopes, username: user, password }));
  });
  await code(client);
}

// A policy comes over somebody who is signed in: the refresh token is refused with a
// claims challenge, which the client answers in the browser.
async function challenged() {
  const client = publicClient(), username = world("CLAIMS_NODE_USER"), password = world("FACTOR_PASSWORD"), page = "http://localhost:4717/";
  const { account } = await client.acquireTokenByUsernamePassword({ scopes, username, password });
  await demandMFA(username);
  let claims;
  try {
    await client.acquireTokenSilent({ account, scopes, forceRefresh: true });
    throw new Error("no second factor was asked for");
  } catch (e) {
    if (!(e instanceof InteractionRequiredAuthError) || !e.message.includes("AADSTS50076")) throw e;
    claims = e.claims;
    if (!JSON.parse(claims).access_token) throw new Error(`the challenge is ${claims}`);
  }
  const url = await client.getAuthCodeUrl({ scopes, redirectUri: page, loginHint: username, claims });
  const sent = await browse(url, page, username, password);
  const { accessToken } = await client.acquireTokenByCode({ scopes, redirectUri: page, code: sent.code });
  await client.acquireTokenSilent({ account, scopes, forceRefresh: true });
  const { amr } = claimsOf(accessToken);
  if (!amr.includes("mfa")) throw new Error(`the token's amr is ${amr}`);
  return `amr ${amr}`;
}

async function policies() {
  await c.check("claims-challenge", challenged);
  const ropc = (name) => publicClient().acquireTokenByUsernamePassword({ scopes, username: world(`${name}_USER`), password: world(`${name}_PASSWORD`) });
  await c.refuse("policy.block", "AADSTS53003", () => ropc("BLOCKED"));
  await c.refuse("policy.compliant-device.no-device", "AADSTS50097", () => ropc("COMPLIANT"));
}

async function code(client) {
  const page = "http://localhost:4712/";
  const crypto = new CryptoProvider();
  const fetchCode = async (challenge) => {
    const url = await client.getAuthCodeUrl({ scopes, redirectUri: page, state: "st&te", ...(challenge && { codeChallenge: challenge, codeChallengeMethod: "S256" }) });
    const sent = await browse(url, page);
    if (sent.state !== "st&te") throw new Error(`state came back as ${sent.state}`);
    return sent.code;
  };
  const { verifier, challenge } = await crypto.generatePkceCodes();
  await c.check("code.pkce", async () => result(await client.acquireTokenByCode({ scopes, redirectUri: page, code: await fetchCode(challenge), codeVerifier: verifier })));
  await c.refuse("code.pkce.wrong-verifier", "AADSTS501481", async () => {
    const other = await crypto.generatePkceCodes();
    await client.acquireTokenByCode({ scopes, redirectUri: page, code: await fetchCode(challenge), codeVerifier: other.verifier });
  });
  await c.refuse("code.replay", "AADSTS54005", async () => {
    const once = await fetchCode();
    result(await client.acquireTokenByCode({ scopes, redirectUri: page, code: once }));
    await publicClient().acquireTokenByCode({ scopes, redirectUri: page, code: once });
  });
}

async function confidentialCases() {
  const pem = readFileSync(world("APP_PEM"), "utf8");
  const thumbprintSha256 = createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
  const privateKey = pem.slice(pem.indexOf("-----BEGIN PRIVATE KEY-----"));
  const x5c = pem.slice(0, pem.indexOf("-----BEGIN PRIVATE KEY-----"));
  const credential = async (auth) => want((await confidential(auth).acquireTokenByClientCredential({ scopes: graph })).accessToken, { aud: null, tid: tenant });
  await c.check("credentials.secret", () => credential({ clientSecret: secret }));
  await c.refuse("credentials.wrong-secret", "AADSTS7000215", () => credential({ clientSecret: `not ${secret}` }));
  await c.check("credentials.certificate", () => credential({ clientCertificate: { thumbprintSha256, privateKey } }));
  await c.check("credentials.certificate-chain", () => credential({ clientCertificate: { thumbprintSha256, privateKey, x5c } }));
  const api = [`api://${app}/.default`];
  await c.check("on-behalf-of", async () => {
    const user = await publicClient().acquireTokenByUsernamePassword({ scopes: api, username: world("USER"), password });
    const r = await confidential({ clientSecret: secret }).acquireTokenOnBehalfOf({ oboAssertion: user.accessToken, scopes });
    return want(r.accessToken, { aud: null, oid: world("USER_OID"), tid: tenant });
  });
  await c.check("web.code-and-silent", async () => {
    const client = confidential({ clientSecret: secret });
    const sent = await browse(await client.getAuthCodeUrl({ scopes, redirectUri: redirect, responseMode: "form_post" }), redirect);
    const r = await client.acquireTokenByCode({ scopes, redirectUri: redirect, code: sent.code });
    result(r);
    return want((await client.acquireTokenSilent({ account: r.account, scopes: ["https://management.azure.com/.default"] })).accessToken, { aud: null });
  });
}

await publicCases();
await policies();
await confidentialCases();
process.exit(0);
