tpm2_startauthsession -Q -S s.ctx
tpm2_policyor -Q -S s.ctx -L policy -l sha256:secret.policy,sign.policy
tpm2_flushcontext s.ctx
tpm2_create -Q -C parent.ctx -G ecc256 -L policy -a 'fixedtpm|fixedparent|sensitivedataorigin|sign' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policysecret -Q -S s.ctx -c o
tpm2_policyor -Q -S s.ctx -l sha256:secret.policy,sign.policy
tpm2_sign -Q -c a.ctx -p session:s.ctx -o sig message
tpm2_flushcontext s.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
! tpm2_policyor -Q -S s.ctx -l sha256:secret.policy,sign.policy
tpm2_policyrestart -Q -S s.ctx
tpm2_policycommandcode -Q TPM2_CC_Sign -S s.ctx
tpm2_policyor -Q -S s.ctx -l sha256:secret.policy,sign.policy
tpm2_sign -Q -c a.ctx -p session:s.ctx -o sig message
tpm2_flushcontext s.ctx
