// Asks whether the telephone was answered, and goes on by itself when it was.
(() => {
  "use strict";
  const form = document.getElementById("wait"), state = document.getElementById("state"), field = form.elements, own = form.dataset;
  let left = Number(own.polls || 60);
  const ask = (to, body) => fetch(to, { method: "POST", headers: { "Content-Type": "application/json", canary: field.canary.value }, body: JSON.stringify(body) }).then((r) => r.json());
  const denied = (text) => { state.textContent = text || state.dataset.denied; };
  const factor = async () => {
    const a = await ask(form.action, { AuthMethodId: field.AuthMethodId.value, SessionId: field.SessionId.value, FlowToken: field.flowToken.value, Ctx: field.ctx.value, Method: "EndAuth", PollCount: Number(field.pollCount.value++) });
    if (a.Success) {
      field.flowToken.value = field.ctx.value = a.FlowToken;
      form.action = own.complete;
      form.submit();
      return false;
    }
    if (!a.Retry) denied();
    return a.Retry;
  };
  const phone = async () => {
    const a = await ask(own.state + "?code=" + encodeURIComponent(own.session), { DeviceCode: own.session });
    if (a.AuthorizationState === 2) form.submit();
    if (a.AuthorizationState === 1) denied();
    return a.AuthorizationState === 0;
  };
  const again = () => setTimeout(async () => {
    let more = true;
    try { more = await (own.state ? phone() : factor()); } catch (e) { /* the network: ask once more */ }
    if (more && --left > 0) again();
  }, Number(own.every));
  again();
})();
