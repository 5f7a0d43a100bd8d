tpm2_evictcontrol -Q -C o -c parent.ctx 0x81000006
tpm2_readpublic -Q -c 0x81000006 -n before.name
tpm2_changeauth -Q -c l lock
tpm2_clear -Q -c l lock
! tpm2_readpublic -Q -c 0x81000006
! tpm2_readpublic -Q -c parent.ctx
tpm2_createprimary -Q -C o -G ecc256 -c parent.ctx
tpm2_readpublic -Q -c parent.ctx -n after.name
! cmp -s before.name after.name
# What the maker wrote stays.
tpm2_nvread -Q 0x01c0000a -o after.der
cmp ek.der after.der
