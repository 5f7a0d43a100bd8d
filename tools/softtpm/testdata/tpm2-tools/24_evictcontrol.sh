tpm2_evictcontrol -Q -C o -c ecc256.ctx 0x81000005
tpm2_sign -Q -c 0x81000005 -g sha256 -f plain -o sig message
openssl dgst -sha256 -verify ecc256.pem -signature sig message
tpm2_getcap handles-persistent | has -i 0x81000005
! tpm2_evictcontrol -Q -C o -c parent.ctx 0x81000005
tpm2_evictcontrol -Q -C o -c 0x81000005
! tpm2_sign -Q -c 0x81000005 -g sha256 -o sig message
