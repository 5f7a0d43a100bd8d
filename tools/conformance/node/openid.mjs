// openid-client: a strict relying party.
import * as client from "openid-client";

import { approve, browse, Cases, want, world } from "./cases.mjs";

const c = new Cases("openid-client", "openid-client");
const issuer = new URL(`https://login.microsoftonline.com/${world("TENANT")}/v2.0`);
const app = world("APP"), secret = world("APP_SECRET"), redirect = world("APP_REDIRECT");
let config;

// signIn runs the flow and checks state, nonce and id_token, by openid-client alone.
async function signIn(extra = {}) {
  const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid profile email offline_access", code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", state, nonce, ...extra,
  });
  const { trail, ...sent } = await browse(url.href, redirect);
  const back = new URL(redirect);
  for (const [k, v] of Object.entries(sent)) back.searchParams.set(k, v);
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
}

const ready = await c.check("discovery", async () => {
  config = await client.discovery(issuer, app, {}, client.ClientSecretPost(secret));
  client.enableNonRepudiationChecks(config); // check the id_token's signature too
  return config.serverMetadata().issuer;
});
if (ready) {
  let tokens;
  if (await c.check("code.pkce.nonce", async () => {
    tokens = await signIn();
    const id = tokens.claims();
    if (id.tid !== world("TENANT") || !id.oid || !id.preferred_username) throw new Error(`id_token claims ${JSON.stringify(id)}`);
    return "id_token verified by the published keys, state and nonce equal";
  })) {
    await c.check("userinfo", async () => `sub ${(await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).sub}`);
    await c.check("refresh", async () => {
      const r = await client.refreshTokenGrant(config, tokens.refresh_token);
      if (!r.refresh_token) throw new Error("no new refresh token");
      return "new tokens";
    });
    await c.refuse("refresh.tampered", "invalid_grant", () => client.refreshTokenGrant(config, `${tokens.refresh_token.slice(0, -6)}AAAAAA`));
  }
  await c.check("code.form-post", async () => (await signIn({ response_mode: "form_post" })).claims().aud);
  await c.refuse("authorize.prompt-none", "login_required", () => signIn({ prompt: "none" }));
  await c.check("credentials.post", async () => want((await client.clientCredentialsGrant(config, { scope: "https://graph.microsoft.com/.default" })).access_token, { aud: null }));
  await c.check("credentials.basic", async () => {
    const basic = await client.discovery(issuer, app, {}, client.ClientSecretBasic(secret));
    return want((await client.clientCredentialsGrant(basic, { scope: "https://graph.microsoft.com/.default" })).access_token, { aud: null });
  });
  await c.refuse("credentials.wrong-secret", "AADSTS7000215", async () => {
    const bad = await client.discovery(issuer, app, {}, client.ClientSecretPost(`not ${secret}`));
    await client.clientCredentialsGrant(bad, { scope: "https://graph.microsoft.com/.default" });
  });
  await c.check("device-code", async () => {
    const publicClient = await client.discovery(issuer, "04b07795-8ddb-461a-bbee-02f9e1bf7b46", {}, client.None());
    const device = await client.initiateDeviceAuthorization(publicClient, { scope: "openid https://graph.microsoft.com/User.Read" });
    await approve(device.user_code);
    return want((await client.pollDeviceAuthorizationGrant(publicClient, device)).access_token, { aud: null, oid: world("USER_OID") });
  });
  await c.check("logout.url", async () => client.buildEndSessionUrl(config, { post_logout_redirect_uri: redirect }).host);
}
process.exit(0);
