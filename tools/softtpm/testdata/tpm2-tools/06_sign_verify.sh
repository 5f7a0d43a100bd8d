echo message > message
for scheme in rsassa rsapss; do
	tpm2_sign -Q -c rsa2048.ctx -g sha256 -s $scheme -o sig message
	tpm2_verifysignature -Q -c rsa2048.ctx -g sha256 -s sig -m message -t ticket
	tpm2_sign -Q -c rsa2048.ctx -g sha256 -s $scheme -f plain -o sig.plain message
	test $scheme = rsapss && options="-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-2" || options=
	openssl dgst -sha256 -verify rsa2048.pem $options -signature sig.plain message
	echo other > other
	! tpm2_verifysignature -Q -c rsa2048.ctx -g sha256 -s sig -m other
done
for curve in 256 384; do
	tpm2_sign -Q -c ecc$curve.ctx -g sha$curve -o sig message
	tpm2_verifysignature -Q -c ecc$curve.ctx -g sha$curve -s sig -m message
	tpm2_sign -Q -c ecc$curve.ctx -g sha$curve -f plain -o sig.plain message
	openssl dgst -sha$curve -verify ecc$curve.pem -signature sig.plain message
done
