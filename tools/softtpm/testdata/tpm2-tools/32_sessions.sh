tpm2_startauthsession -Q --hmac-session -c parent.ctx -S s.ctx
tpm2_sessionconfig -Q s.ctx --enable-encrypt --enable-decrypt
test "$(tpm2_getrandom 16 -S s.ctx | wc -c)" = 16
tpm2_create -Q -C parent.ctx -P session:s.ctx -i data.in -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_sessionconfig -Q s.ctx --disable-decrypt
test "$(tpm2_unseal -c a.ctx -p session:s.ctx)" = "secret data"
tpm2_flushcontext s.ctx
