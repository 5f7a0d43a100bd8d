tpm2_nvdefine -Q 0x1500009 -C o -s 8 -a 'ownerread|ownerwrite|authread'
tpm2_nvwrite -Q 0x1500009 -C o -i data
tpm2_nvcertify -Q -C signer.ctx -c o -g sha256 -f plain -o sig --attestation attest 0x1500009
openssl dgst -sha256 -verify signer.pem -signature sig attest
tpm2_nvundefine -Q 0x1500009 -C o
