echo -n secret data > data.in
tpm2_create -Q -C parent.ctx -i data.in -p pin -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
test "$(tpm2_unseal -c a.ctx -p pin)" = "secret data"
! tpm2_unseal -Q -c a.ctx -p wrong
! tpm2_unseal -Q -c a.ctx
head -c 128 /dev/urandom > most
tpm2_create -Q -C parent.ctx -i most -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_unseal -c a.ctx | cmp - most
