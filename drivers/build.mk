# iodom.elf: drivers/ and vm/abi/, linked with newlib and lwIP. Included by the Makefile.

NEWLIB := $(abspath $(THIRD))/newlib
LWIP   := $(abspath $(THIRD))/lwip/src/src

# Third-party code runs without stack protector, red zone and unwind tables too, and keeps its own warnings to itself.
IODOM_TARGET := -m64 -O2 -g -fno-pic -fno-pie -mcmodel=small -mno-red-zone -fno-stack-protector -fcf-protection=none \
                -fno-asynchronous-unwind-tables -fno-strict-aliasing -ffunction-sections -fdata-sections -U__linux__ -U__gnu_linux__
IODOM_INC    := -nostdinc -isystem $(NEWLIB)/install/x86_64-elf/include -isystem $(shell $(CC) -print-file-name=include) \
                -isystem $(LWIP)/include -Idrivers/stack
IODOM_CFLAGS := $(COMMON) -ffreestanding $(IODOM_TARGET) $(IODOM_INC)

IODOM_SRC := $(wildcard drivers/*.S drivers/*.c drivers/*/*.S drivers/*/*.c drivers/*/*/*.c)
IODOM_OBJ := $(patsubst drivers/%,$(BUILD)/iodom/%.o,$(IODOM_SRC))

# --- newlib: about a minute, once; the host's compiler with a bare target ---------------------------------------

NEWLIB_TOOLS := CC_FOR_TARGET=gcc AR_FOR_TARGET=ar RANLIB_FOR_TARGET=ranlib AS_FOR_TARGET=as LD_FOR_TARGET=ld \
                NM_FOR_TARGET=nm OBJDUMP_FOR_TARGET=objdump READELF_FOR_TARGET=readelf STRIP_FOR_TARGET=strip
NEWLIB_OPTS  := --target=x86_64-elf --prefix=$(NEWLIB)/install --disable-multilib --disable-nls --disable-libgloss \
                --disable-newlib-supplied-syscalls --disable-newlib-multithread --disable-newlib-wide-orient \
                --enable-lite-exit --enable-newlib-nano-malloc --enable-newlib-global-atexit

# newlib 3.3 is older than gcc 14, which takes implicit declarations for errors.
NEWLIB_CFLAGS := $(IODOM_TARGET) -w -std=gnu11 -Wno-error=implicit-function-declaration -Wno-error=implicit-int \
                 -Wno-error=int-conversion -Wno-error=incompatible-pointer-types

# A make of its own: what was given to ours on the command line (CC, BUILD) is not meant for newlib's.
$(NEWLIB)/install/.built: $(THIRD)/newlib/.fetched drivers/build.mk
	@echo "newlib: building (about a minute, once; log in $(NEWLIB)/build.log)"
	@rm -rf $(NEWLIB)/build $(NEWLIB)/install && mkdir -p $(NEWLIB)/build
	@cd $(NEWLIB)/build && unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL && \
	{ ../src/configure $(NEWLIB_OPTS) $(NEWLIB_TOOLS) CFLAGS_FOR_TARGET="$(NEWLIB_CFLAGS)" && \
	  make -j$$(nproc) MAKEINFO=true all-target-newlib && make MAKEINFO=true install-target-newlib; } \
	>../build.log 2>&1 || { tail -20 ../build.log; false; }
	@rm -rf $(NEWLIB)/build
	@touch $@

# --- lwIP: the parts that IPv4 with NO_SYS needs ----------------------------------------------------------------

LWIP_SRC := core/init core/def core/inet_chksum core/ip core/mem core/memp core/netif core/pbuf core/stats core/tcp \
            core/tcp_in core/tcp_out core/timeouts core/udp core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 \
            core/ipv4/ip4_addr core/ipv4/ip4_frag netif/ethernet
LWIP_OBJ := $(LWIP_SRC:%=$(BUILD)/iodom/lwip/%.o)

$(BUILD)/iodom/lwip/%.o: $(THIRD)/lwip/.fetched $(NEWLIB)/install/.built drivers/stack/lwipopts.h drivers/stack/arch/cc.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -w $(IODOM_TARGET) $(IODOM_INC) -c $(LWIP)/$*.c -o $@

# --- our own ----------------------------------------------------------------------------------------------------

# The trap handler runs between any two instructions of code that uses the SSE registers.
$(BUILD)/iodom/sys/trap.c.o: IODOM_CFLAGS += -mgeneral-regs-only

$(BUILD)/iodom/%.o: drivers/% | $(NEWLIB)/install/.built $(THIRD)/lwip/.fetched
	@mkdir -p $(@D)
	$(CC) $(IODOM_CFLAGS) -c $< -o $@

$(BUILD)/iodom.elf: $(IODOM_OBJ) $(LWIP_OBJ) linker/iodom.ld
	$(LD) $(LDFLAGS) --gc-sections -T linker/iodom.ld -Map $(BUILD)/iodom.map $(IODOM_OBJ) $(LWIP_OBJ) \
	    $(NEWLIB)/install/x86_64-elf/lib/libc.a $(shell gcc -print-libgcc-file-name) -o $@

-include $(IODOM_OBJ:.o=.d)
