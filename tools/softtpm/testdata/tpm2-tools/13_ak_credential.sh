for kind in ecc rsa; do
	hash=sha256; scheme=ecdsa; test $kind = rsa && scheme=rsassa
	tpm2_createek -Q -c ek.ctx -G $kind -u ek.pub
	tpm2_createak -Q -C ek.ctx -c ak.ctx -G $kind -g $hash -s $scheme -u ak.pub -n ak.name -r ak.priv
	echo -n 12345678 > secret
	tpm2_makecredential -Q -u ek.pub -s secret -n $(xxd -p -c 256 ak.name) -o blob
	tpm2_startauthsession -Q --policy-session -S s.ctx
	tpm2_policysecret -Q -S s.ctx -c e
	tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -i blob -o back -P session:s.ctx
	tpm2_flushcontext s.ctx
	cmp secret back
	# Without the policy there is no answer.
	! tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -i blob -o back
done
