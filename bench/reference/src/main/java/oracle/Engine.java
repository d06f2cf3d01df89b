package oracle;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.fhir.ucum.UcumEssenceService;
import org.fhir.ucum.UcumException;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator.NullEvaluationContext;
import org.hl7.fhir.r5.context.SimpleWorkerContext;
import org.hl7.fhir.r5.context.SimpleWorkerContext.SimpleWorkerContextBuilder;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.model.Parameters;
import org.hl7.fhir.r5.model.StructureDefinition;
import org.hl7.fhir.r5.utils.validation.ValidatorSession;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.IdStatus;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.npm.NpmPackage;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.utilities.validation.ValidationMessage.IssueSeverity;
import org.hl7.fhir.validation.ValidatorSettings;
import org.hl7.fhir.validation.ValidatorUtils;
import org.hl7.fhir.validation.instance.InstanceValidator;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;

/** HL7's instance validator over unpacked packages, without a terminology server and without any other network. */
final class Engine {
    private static final String VERSION = "4.0.1";
    /** A validator remembers every constraint that it ran, with the elements: 3 GB after 13,000 resources. */
    private static final int USES = 200;
    /** Lists that no package carries: the engine cannot know, and says "error". Such a message is made a warning. */
    private static final String[] OUT_OF_REACH = {
        "http://hl7.org/fhir/ValueSet/mimetypes",
        "http://hl7.org/fhir/ValueSet/currencies",
        "There are no valid display names found",
    };

    private final SimpleWorkerContext definitions;
    /** The definitions may be shared, a validator's own state may not. */
    private final ThreadLocal<InstanceValidator> validators = new ThreadLocal<>();
    private final ThreadLocal<Integer> uses = ThreadLocal.withInitial(() -> 0);

    /** The first folder holds the R4 core; of two definitions with one URL the later folder's counts. */
    Engine(List<Path> folders) throws IOException, UcumException {
        var core = NpmPackage.fromFolder(folders.get(0).toString());
        definitions = new SimpleWorkerContextBuilder()
                .withAllowLoadingDuplicates(true)
                .fromPackage(core, ValidatorUtils.loaderForVersion(VERSION), false);
        definitions.setNoTerminologyServer(true);
        definitions.setCanRunWithoutTerminology(true);
        definitions.setCanNoTS(true);
        definitions.setExpansionParameters(new Parameters());
        try (var units = Engine.class.getResourceAsStream("/ucum-essence.xml")) {
            definitions.setUcumService(new UcumEssenceService(units));
        }
        for (Path folder : folders.subList(1, folders.size())) {
            definitions.loadFromPackage(NpmPackage.fromFolder(folder.toString()), ValidatorUtils.loaderForVersion(VERSION));
        }
    }

    private InstanceValidator fresh() {
        int used = uses.get();
        if (used % USES == 0) validators.set(validator());
        uses.set(used + 1);
        return validators.get();
    }

    private InstanceValidator validator() {
        var made = new InstanceValidator(
                definitions, new NullEvaluationContext(), null, new ValidatorSession(), new ValidatorSettings());
        made.setPolicyAdvisor(new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.IGNORE));
        made.setAssumeValidRestReferences(true); // reads the type out of Type/id and holds it against the targets
        made.setAnyExtensionsAllowed(true);
        made.setErrorForUnknownProfiles(false);
        made.setUnknownCodeSystemsCauseErrors(false);
        made.setBestPracticeWarningLevel(BestPracticeWarningLevel.Warning);
        made.setResourceIdRule(IdStatus.OPTIONAL);
        made.setAllowExamples(true);
        return made;
    }

    /** What the validator says of a text that should be a resource, against R4 and the profiles it claims. */
    List<ValidationMessage> judge(byte[] json) {
        var told = new ArrayList<ValidationMessage>();
        fresh().validate(null, told, new ByteArrayInputStream(json), FhirFormat.JSON, new ArrayList<StructureDefinition>());
        for (ValidationMessage message : told) {
            for (String phrase : OUT_OF_REACH) {
                if (message.getMessage().contains(phrase)) message.setLevel(IssueSeverity.WARNING);
            }
        }
        return told;
    }
}
