// Offers passkeys in the list under the box for the name (WebAuthn section 5.1.4,
// mediation "conditional"). Where the browser cannot, nothing happens.
(async () => {
  "use strict";
  const form = document.getElementById("first");
  try {
    if (!window.PublicKeyCredential || !PublicKeyCredential.isConditionalMediationAvailable || !await PublicKeyCredential.isConditionalMediationAvailable()) return;
    const begun = await (await fetch(form.dataset.begin, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ flowToken: form.elements.flowToken.value }),
    })).json();
    if (!begun.options) return;
    const credential = await navigator.credentials.get({ publicKey: webauthn.options(begun.options), mediation: "conditional" });
    form.elements.flowToken.value = form.elements.ctx.value = begun.flowToken;
    form.elements.assertion.value = webauthn.answer(credential);
    form.submit();
  } catch (e) {
    // The person chose something else, or nothing: the page is there as before.
  }
})();
