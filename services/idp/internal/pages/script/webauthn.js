// JSON of WebAuthn (section 5.1.9 and 5.1.10) to what the browser's API takes, and
// back. Written out because older browsers have the API and not the conversions.
const webauthn = (() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const list = (all) => (all || []).map((c) => Object.assign({}, c, { id: bytes(c.id) }));
  const options = (json) => {
    let o = JSON.parse(json);
    o = o.publicKey || o;
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    if (o.allowCredentials) o.allowCredentials = list(o.allowCredentials);
    if (o.excludeCredentials) o.excludeCredentials = list(o.excludeCredentials);
    return o;
  };
  const answer = (credential) => {
    const r = credential.response, out = { clientDataJSON: text(r.clientDataJSON) };
    for (const name of ["authenticatorData", "signature", "userHandle", "attestationObject"]) {
      if (r[name]) out[name] = text(r[name]);
    }
    if (r.getTransports) out.transports = r.getTransports();
    return JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response: out,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
    });
  };
  return { options, answer };
})();
