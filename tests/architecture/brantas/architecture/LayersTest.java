package brantas.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/// Who may use whom. The packages form layers; dependencies only point downward.
class LayersTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("brantas");

    private static final String[] BOTTOM = {
        "brantas.tensor..",
        "brantas.settings..",
        "java..",
        "javax..",
        "com.sun.management..",
        "org.jspecify.."
    };

    private static String[] and(String... more) {
        String[] all = java.util.Arrays.copyOf(BOTTOM, BOTTOM.length + more.length);
        System.arraycopy(more, 0, all, BOTTOM.length, more.length);
        return all;
    }

    private static void only(String layer, String... below) {
        classes()
                .that()
                .resideInAPackage(layer)
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(and(below))
                .check(CLASSES);
    }

    @Test
    void tensorAndSettingsAreTheBottom() {
        classes()
                .that()
                .resideInAPackage("brantas.tensor")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("brantas.tensor", "java..", "org.jspecify..")
                .check(CLASSES);
        classes()
                .that()
                .resideInAPackage("brantas.settings")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "brantas.settings", "java..", "com.sun.management..", "org.jspecify..")
                .check(CLASSES);
    }

    @Test
    void theOpContractKnowsTensorsOnly() {
        only("brantas.op", "brantas.op");
    }

    @Test
    void backendsKnowTheContractAndNotEachOther() {
        only("brantas.plain", "brantas.plain", "brantas.op", "brantas.quant", "brantas.spi");
        only(
                "brantas.simd",
                "brantas.simd",
                "brantas.op",
                "brantas.quant",
                "brantas.spi",
                "jdk.incubator.vector..",
                "jdk.internal.vm.vector..");
    }

    @Test
    void theGpuBackendIsLayeredToo() {
        String[] contract = {"brantas.op", "brantas.quant", "brantas.spi"};
        only(
                "brantas.cuda",
                "brantas.cuda",
                "brantas.cuda.driver",
                "brantas.cuda.launch",
                "brantas.cuda.blas",
                contract[0],
                contract[1],
                contract[2]);
        only(
                "brantas.cuda.bench",
                "brantas.cuda.bench",
                "brantas.cuda",
                "brantas.cuda.driver",
                "brantas.cuda.launch",
                "brantas.op",
                "brantas.spi");
        only("brantas.cuda.launch", "brantas.cuda.launch", "brantas.cuda.driver", "brantas.op");
        only("brantas.cuda.driver", "brantas.cuda.driver", "brantas.cuda.shim", "jcuda..");
        only("brantas.cuda.shim", "brantas.cuda.shim", "org.bytedeco..");
        only(
                "brantas.cuda.blas",
                "brantas.cuda.blas",
                "brantas.cuda.driver",
                "brantas.cuda.launch",
                "jcuda..");
    }

    @Test
    void theModelNeverNamesABackend() {
        only(
                "brantas.model",
                "brantas.model",
                "brantas.op",
                "brantas.cache",
                "brantas.format",
                "brantas.expert",
                "brantas.spi");
    }

    @Test
    void theEngineDealsInIds() {
        only(
                "brantas.engine",
                "brantas.engine",
                "brantas.model",
                "brantas.op",
                "brantas.cache",
                "brantas.sample",
                "brantas.spi",
                "brantas.format");
    }

    @Test
    void textKnowsNoModel() {
        only("brantas.jinja", "brantas.jinja");
        only("brantas.vocabulary", "brantas.vocabulary", "com.fasterxml.jackson..");
        only("brantas.token", "brantas.token", "brantas.vocabulary");
        only("brantas.text", "brantas.text", "brantas.jinja");
    }

    @Test
    void formatsKnowFilesOnly() {
        only("brantas.format", "brantas.format", "com.fasterxml.jackson..");
    }

    @Test
    void predictionsKnowConfigurationsOnly() {
        only("brantas.predict", "brantas.predict", "brantas.format");
    }

    @Test
    void applicationsUseTheFrontDoor() {
        noClasses()
                .that()
                .resideInAPackage("brantas.cli..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "brantas.tensor..",
                        "brantas.op..",
                        "brantas.plain..",
                        "brantas.simd..",
                        "brantas.cuda..",
                        "brantas.format..",
                        "brantas.model..",
                        "brantas.cache..",
                        "brantas.sample..",
                        "brantas.engine..",
                        "brantas.predict..",
                        "brantas.text..",
                        "brantas.token..",
                        "brantas.vocabulary..",
                        "brantas.jinja..")
                .check(CLASSES);
    }

    @Test
    void librariesStayWhereTheyBelong() {
        noClasses()
                .that()
                .resideOutsideOfPackage("brantas.simd")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("jdk.incubator.vector..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackages("brantas.cuda.driver", "brantas.cuda.blas")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("jcuda..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackage("brantas.cuda.shim")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.bytedeco..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackages("brantas.format", "brantas.vocabulary", "brantas.cli")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.fasterxml..")
                .check(CLASSES);
    }

    @Test
    void packagesFormNoCycle() {
        slices().matching("brantas.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void onlySettingsAsksForPropertiesAndEnvironment() {
        noClasses()
                .that()
                .resideOutsideOfPackage("brantas.settings")
                .should()
                .callMethod(System.class, "getProperty", String.class)
                .orShould()
                .callMethod(System.class, "getProperty", String.class, String.class)
                .orShould()
                .callMethod(System.class, "getenv", String.class)
                .orShould()
                .callMethod(System.class, "getenv")
                .check(CLASSES);
    }

    @Test
    void onlyTheCommandLinePrints() {
        noClasses()
                .that()
                .resideOutsideOfPackage("brantas.cli")
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .check(CLASSES);
    }

    @Test
    void noStaticMutableFields() {
        fields().that()
                .areStatic()
                .and()
                .areDeclaredInClassesThat()
                .resideInAPackage("brantas..")
                .should()
                .beFinal()
                .check(CLASSES);
    }

    @Test
    void namesSayWhatAThingIs() {
        for (String word : new String[] {"Manager", "Helper", "Util", "Utils", "Impl"}) {
            noClasses().should().haveSimpleNameEndingWith(word).check(CLASSES);
        }
        for (String word : new String[] {"Abstract", "Base"}) {
            noClasses().should().haveSimpleNameStartingWith(word).check(CLASSES);
        }
    }
}
