// Asks the browser for a passkey: at once, and again with every press of the button.
(() => {
  "use strict";
  const form = document.getElementById("passkey"), state = document.getElementById("state");
  const say = (text) => { state.textContent = text; };
  const ask = async () => {
    if (!window.PublicKeyCredential) return say(state.dataset.none);
    say("");
    try {
      const publicKey = webauthn.options(form.dataset.options);
      const credential = form.dataset.create ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
      form.elements[form.dataset.create ? "credential" : "assertion"].value = webauthn.answer(credential);
      form.submit();
    } catch (e) {
      say(state.dataset.failed);
    }
  };
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.name) return; // another way
    event.preventDefault();
    ask();
  });
  ask();
})();
