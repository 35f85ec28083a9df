# BOOTX64.EFI: boot/ on GNU-EFI, with inih. Included from the root Makefile.

# Debian has moved GNU-EFI's files between releases; each is looked for where one of them has it.
EFI_PLACES ?= /usr/lib /usr/lib/x86_64-linux-gnu /usr/lib/gnuefi /usr/lib/x86_64-linux-gnu/gnuefi /usr/lib/efi
efi_find    = $(firstword $(wildcard $(addsuffix /$(1),$(EFI_PLACES))) gnu-efi-is-missing/$(1))
EFI_CRT0    = $(call efi_find,crt0-efi-x86_64.o)
EFI_LDS     = $(call efi_find,elf_x86_64_efi.lds)
EFI_LIBS    = $(call efi_find,libefi.a) $(call efi_find,libgnuefi.a)
EFI_INC    ?= /usr/include/efi

INIH := $(THIRD)/inih/src

LASTMILE_VERSION ?= 0.1
BOOT_COMMON := -std=gnu11 -I. -Iboot/libc -O2 -g -MMD -MP -fno-strict-aliasing -fno-common $(TARGET) -fpic -fshort-wchar \
               -fvisibility=hidden -mno-red-zone -mgeneral-regs-only -DGNU_EFI_USE_MS_ABI
BOOT_CFLAGS := $(BOOT_COMMON) $(WARN) -isystem $(EFI_INC) -isystem $(EFI_INC)/x86_64 -isystem $(INIH) \
               -DLASTMILE_VERSION='"$(LASTMILE_VERSION)"'

BOOT_SRC := $(wildcard boot/*.c boot/*.S)
BOOT_OBJ := $(patsubst boot/%,$(BUILD)/boot/%.o,$(BOOT_SRC)) $(BUILD)/boot/ini.o

$(BUILD)/boot/%.c.o: boot/%.c boot/build.mk $(THIRD)/inih/.fetched
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(BOOT_CFLAGS) -c $< -o $@

$(BUILD)/boot/%.S.o: boot/%.S boot/build.mk
	@mkdir -p $(@D)
	$(call say,AS)$(CC) $(BOOT_CFLAGS) -I$(BUILD)/boot -c $< -o $@

# The guests' DSDT, compiled from source and taken in by dsdt.S.
$(BUILD)/boot/dsdt.S.o: $(BUILD)/boot/dsdt.aml
$(BUILD)/boot/dsdt.aml: boot/dsdt.asl
	@mkdir -p $(@D)
	$(call say,IASL)iasl -va -p $(basename $@) $< >$(basename $@).log || { cat $(basename $@).log; false; }

# inih as it is: its own warnings are not ours to mend.
$(BUILD)/boot/ini.o: $(THIRD)/inih/.fetched boot/ini_options.h boot/build.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(BOOT_COMMON) -w -include boot/ini_options.h -c $(INIH)/ini.c -o $@

# A shared object that GNU-EFI's start code relocates, then its sections as a PE file (GNU-EFI's README.gnuefi).
EFI_LINK = $(LD) -nostdlib -shared -Bsymbolic -znocombreloc -z noexecstack --no-undefined --build-id=none \
           -T $(EFI_LDS) $(EFI_CRT0) $(filter %.o,$^) --start-group $(EFI_LIBS) --end-group -o $@
EFI_PE   = objcopy -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' -j '.rela.*' -j .reloc \
           --target=efi-app-x86_64 --subsystem=10 $< $@

$(BUILD)/boot/boot.so: $(BOOT_OBJ)
	$(call say,LD)$(EFI_LINK)

$(BUILD)/BOOTX64.EFI: $(BUILD)/boot/boot.so
	$(call say,PE)$(EFI_PE)

-include $(BOOT_OBJ:.o=.d)
