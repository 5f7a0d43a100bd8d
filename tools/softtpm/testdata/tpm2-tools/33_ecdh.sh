tpm2_create -Q -C parent.ctx -G ecc256 -u a.pub -r a.priv -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt'
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_ecdhkeygen -Q -u ephemeral -o one -c a.ctx
tpm2_ecdhzgen -Q -u ephemeral -o two -c a.ctx
cmp one two
