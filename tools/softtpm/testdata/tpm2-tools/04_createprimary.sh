for hierarchy in o e n; do
	for kind in rsa2048 ecc256 ecc384; do
		tpm2_createprimary -Q -C $hierarchy -G $kind -c p.ctx
		tpm2_readpublic -Q -c p.ctx -n one.name
		tpm2_createprimary -Q -C $hierarchy -G $kind -c p.ctx
		tpm2_readpublic -Q -c p.ctx -n two.name
		cmp one.name two.name
	done
done
tpm2_createprimary -Q -C o -G ecc256 -c parent.ctx
