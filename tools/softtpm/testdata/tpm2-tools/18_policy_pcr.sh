tpm2_startauthsession -Q -S s.ctx
tpm2_policypcr -Q -S s.ctx -l sha256:9 -L policy
tpm2_flushcontext s.ctx
echo -n sealed > sealed
tpm2_create -Q -C parent.ctx -i sealed -L policy -a 'fixedtpm|fixedparent' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policypcr -Q -S s.ctx -l sha256:9
test "$(tpm2_unseal -c a.ctx -p session:s.ctx)" = sealed
tpm2_flushcontext s.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policypcr -Q -S s.ctx -l sha256:9
tpm2_pcrextend 9:sha256=$(echo -n other | sha256sum | cut -d' ' -f1)
! tpm2_unseal -Q -c a.ctx -p session:s.ctx
tpm2_flushcontext s.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policypcr -Q -S s.ctx -l sha256:9
! tpm2_unseal -Q -c a.ctx -p session:s.ctx
tpm2_flushcontext s.ctx
