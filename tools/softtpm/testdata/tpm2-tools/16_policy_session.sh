policy() { # begins a policy session of kind $1
	tpm2_startauthsession -Q $1 -S s.ctx
}
trial() { policy ""; "$@" -S s.ctx -L policy; tpm2_flushcontext s.ctx; }
with() { policy --policy-session; "$@" -S s.ctx; }

trial tpm2_policyauthvalue -Q
tpm2_create -Q -C parent.ctx -G ecc256 -L policy -p pin -a 'fixedtpm|fixedparent|sensitivedataorigin|sign' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
with tpm2_policyauthvalue -Q
tpm2_sign -Q -c a.ctx -p session:s.ctx+pin -o sig message
tpm2_flushcontext s.ctx
! tpm2_sign -Q -c a.ctx -p pin -o sig message

trial tpm2_policypassword -Q
tpm2_create -Q -C parent.ctx -G ecc256 -L policy -p pin -a 'fixedtpm|fixedparent|sensitivedataorigin|sign' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
with tpm2_policypassword -Q
tpm2_sign -Q -c a.ctx -p session:s.ctx+pin -o sig message
tpm2_flushcontext s.ctx

trial tpm2_policysecret -Q -c o
cp policy secret.policy
tpm2_create -Q -C parent.ctx -G ecc256 -L policy -a 'fixedtpm|fixedparent|sensitivedataorigin|sign' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
with tpm2_policysecret -Q -c o
tpm2_sign -Q -c a.ctx -p session:s.ctx -o sig message
tpm2_flushcontext s.ctx

trial tpm2_policycommandcode -Q TPM2_CC_Sign
cp policy sign.policy
tpm2_create -Q -C parent.ctx -G rsa2048 -L policy -a 'fixedtpm|fixedparent|sensitivedataorigin|sign|decrypt' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policycommandcode -Q TPM2_CC_Sign -S s.ctx
tpm2_sign -Q -c a.ctx -p session:s.ctx -o sig message
tpm2_flushcontext s.ctx
tpm2_rsaencrypt -Q -c a.ctx -o cipher plain
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policycommandcode -Q TPM2_CC_Sign -S s.ctx
! tpm2_rsadecrypt -Q -c a.ctx -p session:s.ctx -o back cipher
tpm2_flushcontext s.ctx
