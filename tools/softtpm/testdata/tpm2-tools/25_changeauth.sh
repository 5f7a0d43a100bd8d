tpm2_create -Q -C parent.ctx -G ecc256 -p old -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_changeauth -Q -C parent.ctx -c a.ctx -p old -r b.priv new
tpm2_load -Q -C parent.ctx -u a.pub -r b.priv -c a.ctx
tpm2_sign -Q -c a.ctx -p new -o sig message
! tpm2_sign -Q -c a.ctx -p old -o sig message
for hierarchy in o e l; do
	tpm2_changeauth -Q -c $hierarchy new
	tpm2_changeauth -Q -c $hierarchy -p new
done
tpm2_changeauth -Q -c o new
! tpm2_createprimary -Q -C o -c no.ctx
tpm2_createprimary -Q -C o -P new -G ecc256 -c yes.ctx
tpm2_changeauth -Q -c o -p new
tpm2_nvdefine -Q 0x1500008 -C o -s 8 -p old -a 'authread|authwrite|policywrite|no_da'
tpm2_nvundefine -Q 0x1500008 -C o
