tpm2_startauthsession -Q -S s.ctx
tpm2_policyauthorize -Q -S s.ctx -n signing.name -L policy
tpm2_flushcontext s.ctx
tpm2_create -Q -C parent.ctx -i sealed -L policy -a 'fixedtpm|fixedparent' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
openssl dgst -sha256 -sign signing.pem -out sig secret.policy
tpm2_verifysignature -Q -c signing.ctx -g sha256 -m secret.policy -s sig -f ecdsa -t ticket
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policysecret -Q -S s.ctx -c o
tpm2_policyauthorize -Q -S s.ctx -i secret.policy -n signing.name -t ticket
test "$(tpm2_unseal -c a.ctx -p session:s.ctx)" = sealed
tpm2_flushcontext s.ctx
