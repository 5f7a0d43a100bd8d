tpm2_nvdefine -Q 0x1500006 -C o -s 8 -a 'ownerread|ownerwrite|read_stclear|writedefine'
tpm2_nvwrite -Q 0x1500006 -C o -i data
tpm2_nvwritelock -Q 0x1500006 -C o
! tpm2_nvwrite -Q 0x1500006 -C o -i data
test "$(tpm2_nvread 0x1500006 -C o -s 6)" = stored
tpm2_nvreadlock -Q 0x1500006 -C o
! tpm2_nvread -Q 0x1500006 -C o -s 6
tpm2_nvundefine -Q 0x1500006 -C o
