# iodom.elf: drivers/ and vm/abi/, linked with newlib and lwIP. Included by the Makefile.

NEWLIB := $(abspath $(THIRD))/newlib
LWIP   := $(abspath $(THIRD))/lwip/src/src

# Third-party code runs without stack protector, red zone and unwind tables too, and keeps its own warnings to itself.
IODOM_TARGET := -m64 -O2 -g -fno-pic -fno-pie -mcmodel=small -mno-red-zone -fno-stack-protector -fcf-protection=none \
                -fno-asynchronous-unwind-tables -fno-strict-aliasing -ffunction-sections -fdata-sections -U__linux__ -U__gnu_linux__
# Asked of the compiler when it is needed: before `make setup` there may be none.
IODOM_INC     = -nostdinc -isystem $(NEWLIB)/install/x86_64-elf/include -isystem $(shell $(CC) -print-file-name=include) \
                -isystem $(LWIP)/include -Idrivers/stack
IODOM_CFLAGS  = $(COMMON) -ffreestanding $(IODOM_TARGET) $(IODOM_INC)

IODOM_SRC := $(wildcard drivers/*.S drivers/*.c drivers/*/*.S drivers/*/*.c drivers/*/*/*.c)
IODOM_OBJ := $(patsubst drivers/%,$(BUILD)/iodom/%.o,$(IODOM_SRC))

include drivers/newlib.mk

# --- lwIP: the parts that IPv4 with NO_SYS needs ----------------------------------------------------------------

LWIP_SRC := core/init core/def core/inet_chksum core/ip core/mem core/memp core/netif core/pbuf core/stats core/tcp \
            core/tcp_in core/tcp_out core/timeouts core/udp core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 \
            core/ipv4/ip4_addr core/ipv4/ip4_frag netif/ethernet
LWIP_OBJ := $(LWIP_SRC:%=$(BUILD)/iodom/lwip/%.o)

$(BUILD)/iodom/lwip/%.o: $(THIRD)/lwip/.fetched $(NEWLIB)/install/.built drivers/stack/lwipopts.h drivers/stack/arch/cc.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu11 -w $(IODOM_TARGET) $(IODOM_INC) -c $(LWIP)/$*.c -o $@

# --- our own ----------------------------------------------------------------------------------------------------

# The trap handler runs between any two instructions of code that uses the SSE registers.
$(BUILD)/iodom/sys/trap.c.o: IODOM_CFLAGS += -mgeneral-regs-only

$(BUILD)/iodom/%.o: drivers/% | $(NEWLIB)/install/.built $(THIRD)/lwip/.fetched
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(IODOM_CFLAGS) -c $< -o $@

$(BUILD)/iodom.elf: $(IODOM_OBJ) $(LWIP_OBJ) linker/iodom.ld
	$(call say,LD)$(LD) $(LDFLAGS) --gc-sections -T linker/iodom.ld -Map $(BUILD)/iodom.map $(IODOM_OBJ) $(LWIP_OBJ) \
	    $(NEWLIB)/install/x86_64-elf/lib/libc.a $(shell gcc -print-libgcc-file-name) -o $@

-include $(IODOM_OBJ:.o=.d)
