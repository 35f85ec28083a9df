/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guests' operating systems cannot find by themselves (ACPI 6.5). The numbers are those of vm/abi/platform.h and vm/emul/; processors and the
 * I/O APIC are in the MADT, power in the FADT. Functions on the PCI bus have MSI and MSI-X only, so there is no routing table.
 */
DefinitionBlock ("", "DSDT", 2, "LSTMIL", "LASTMILE", 1)
{
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x1000, 0xffff, 0, 0xf000)
                /* GPA_PCI_WINDOW to GPA_PCI_WINDOW_END */
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000)
                /* GPA_PCI_HIGH of 0 bytes: tables.c puts it above the guest's memory */
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0x1000000000, 0x1fffffffff, 0, 0x1000000000)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3f8, 0x3f8, 1, 8)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x70, 0x70, 1, 2)
            })
        }
    }
}
