openssl ecparam -name prime256v1 -genkey -noout -out signing.pem
openssl pkey -in signing.pem -pubout -out signing.pub
tpm2_loadexternal -Q -C o -G ecc -u signing.pub -c signing.ctx -n signing.name
printf '\0\0\0\0' > aside; openssl dgst -sha256 -sign signing.pem -out sig aside
tpm2_startauthsession -Q -S s.ctx
tpm2_policysigned -Q -S s.ctx -g sha256 -s sig -f ecdsa -c signing.ctx -L policy
tpm2_flushcontext s.ctx
tpm2_create -Q -C parent.ctx -i sealed -L policy -a 'fixedtpm|fixedparent' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policysigned -Q -S s.ctx -g sha256 -s sig -f ecdsa -c signing.ctx
test "$(tpm2_unseal -c a.ctx -p session:s.ctx)" = sealed
tpm2_flushcontext s.ctx
